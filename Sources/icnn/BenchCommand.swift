import ArgumentParser
import Communication
import Datasets
import Foundation
import Networks
import Tensors
import Training

/// `icnn bench`.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Time training steps on synthetic input, also under mpirun.")

  @Option(help: "alexnet, caffe-alexnet, vgg-m, vgg-s, vgg16, resnet18, resnet50, densenet121 or compact.")
  var network =
    "compact"
  @Option(help: "Images per step on all ranks together.") var batchSize = 16
  @Option(help: "Steps that are timed.") var steps = 10
  @Option(help: "Steps before them that are not.") var warmupSteps = 2
  @Option(help: "Classes.") var classes = 1000
  @Option(help: "Side of the square input, in pixels. (default: the network's own)") var imageSize: Int?
  @Option(help: ArgumentHelp("As for train: none, auto or a number of segments.", valueName: "n"))
  var recompute = Recomputation.none
  @Flag(help: "The ordinary twin.") var ordinary = false
  @Option(help: "auto (Winograd's convolutions where they are faster) or exact (none).")
  var convolution = TrainingConfiguration.ConvolutionMode.auto
  @Flag(help: "Time every layer and pass against what the processor can do.") var profile = false
  @Flag(help: "Print one JSON object.") var json = false
  @OptionGroup var exchange: ExchangeOptions
  @OptionGroup var threads: ThreadOptions
  @OptionGroup var stall: StallOptions
  @OptionGroup var trace: TraceArguments

  func validate() throws {
    guard steps >= 1, warmupSteps >= 0, batchSize >= 1, classes >= 1 else {
      throw ValidationError("--steps, --batch-size and --classes take 1 or more, --warmup-steps 0 or more")
    }
    guard !profile || trace.trace == nil else {
      throw ValidationError("--profile and --trace both time the layers: give one of them")
    }
  }

  func run() throws {
    var configuration = TrainingConfiguration()
    configuration.network = network
    configuration.interpretable = !ordinary
    configuration.convolution = convolution
    configuration.imageSize = imageSize
    configuration.batchSize = batchSize
    exchange.set(&configuration)
    configuration.recompute = recompute
    let requested = configuration
    try withRanks(requested, threads, stall) { try time(requested, $0) }
  }

  private func time(_ configuration: TrainingConfiguration, _ communicator: any Communicator) throws -> Int32
  {
    let (resolved, architecture) = try onAllRanks(communicator) {
      try configuration.validate(ranks: communicator.size)
      return try configuration.resolved()
    }
    let console = Console(isSpeaking: communicator.rank == 0)
    let bench = try Benchmark(
      resolved.withBucketSize(architecture, classes: classes, communicator, console), architecture,
      classes: classes, communicator)
    let report = try bench.run(
      steps: steps, warmupSteps: warmupSteps, profiled: profile, trace: trace.options, console: console)
    guard communicator.rank == 0 else { return 0 }
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys]
      print(String(decoding: try encoder.encode(report), as: UTF8.self))
    } else {
      print(report.description)
    }
    return 0
  }
}
