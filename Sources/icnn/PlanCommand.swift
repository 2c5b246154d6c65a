import ArgumentParser
import Communication
import Foundation
import Tensors
import Training

/// `icnn plan`.
struct PlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Predict steps, efficiency, buckets and checkpoint intervals on more ranks than there are.",
    discussion: """
      One process measures computation; the network is what you say:
        icnn plan --network vgg16 --batch-size 256 --ranks 2,8,64,512 --bandwidth 10G --latency 20us
      Several ranks, one a host, measure the network too; --verify compares the prediction with the real step:
        mpirun -np 4 --hostfile hostfile icnn plan --network vgg16 --batch-size 64 --ranks 4,8,64 --verify
      docs/Scale.md tells what the predictions rest on and where they end.
      """)

  @Option(help: "alexnet, caffe-alexnet, vgg-m, vgg-s, vgg16, resnet18, resnet50, densenet121 or compact.")
  var network = "compact"
  @Option(help: "Images per step on all ranks together, for strong scaling.") var batchSize = 32
  @Option(help: "Classes.") var classes = 1000
  @Option(help: "Side of the square input, in pixels. (default: the network's own)") var imageSize: Int?
  @Flag(help: "The ordinary twin.") var ordinary = false
  @Option(help: "Numbers of ranks, separated by commas. (default: those of this job)") var ranks: String?
  @Option(help: "Ranks on a node. (default: as in this job)") var ranksPerNode: Int?
  @Option(help: "Of a node's network, in bit/s: 10G, 200M. (default: measured, under mpirun)")
  var bandwidth: String?
  @Option(help: "Of a message between nodes: 20us. (default: measured, under mpirun)") var latency: String?
  @Option(help: "Steps that are timed for each share.") var steps = 10
  @Option(help: "Steps before them that are not.") var warmupSteps = 2
  @Option(help: ArgumentHelp("Measure nothing: take what an earlier --json printed.", valueName: "file"))
  var measured: String?
  @Option(help: "Mean time between failures of one node, 30d or 2000h, for the checkpoint interval.")
  var mtbf: String?
  @Option(help: "What a checkpoint takes: 20s. With --mtbf.") var checkpointTime: String?
  @Option(help: "From a failure until training goes on again. With --mtbf.") var restartTime = "60s"
  @Flag(help: "Under mpirun: time the real step, too.") var verify = false
  @Flag(help: "Print one JSON object.") var json = false
  @OptionGroup var exchange: ExchangeOptions
  @OptionGroup var threads: ThreadOptions
  @OptionGroup var stall: StallOptions

  func validate() throws {
    guard steps >= 1, warmupSteps >= 0, batchSize >= 1, classes >= 1, ranksPerNode ?? 1 >= 1 else {
      throw ValidationError(
        "--steps, --batch-size, --classes and --ranks-per-node take 1 or more, --warmup-steps 0 or more")
    }
    if let ranks {
      guard Self.list(ranks) != nil else { throw ValidationError("--ranks takes 2,8,64, not '\(ranks)'") }
    }
    if let bandwidth, Quantity.bitsPerSecond(bandwidth) ?? 0 <= 0 {
      throw ValidationError("--bandwidth takes bits per second such as 10G or 200M, not '\(bandwidth)'")
    }
    for (name, value) in [
      ("latency", latency), ("mtbf", mtbf), ("checkpoint-time", checkpointTime),
      ("restart-time", restartTime),
    ] {
      if let value, Quantity.seconds(value) == nil {
        throw ValidationError("--\(name) takes a time such as 20us, 30s, 2h or 30d, not '\(value)'")
      }
    }
    guard (bandwidth == nil) == (latency == nil) else {
      throw ValidationError("--bandwidth and --latency belong together")
    }
    guard mtbf == nil || (Quantity.seconds(mtbf!)! > 0 && checkpointTime != nil) else {
      throw ValidationError(
        "--mtbf needs a time above 0 and --checkpoint-time (a trace shows how long one takes)")
    }
    guard exchange.bucketMebibytes != .automatic else {
      throw ValidationError("--bucket-mebibytes takes a number here: the plan says which is the best")
    }
    guard !exchange.reproducible else {
      throw ValidationError("--reproducible runs reduce in another way, which is not modelled")
    }
  }

  func run() throws {
    var configuration = TrainingConfiguration()
    configuration.network = network
    configuration.interpretable = !ordinary
    configuration.imageSize = imageSize
    configuration.batchSize = batchSize
    exchange.set(&configuration)
    let requested = configuration
    try withRanks(requested, threads, stall) { try plan(requested, $0) }
  }

  private func plan(_ configuration: TrainingConfiguration, _ communicator: any Communicator) throws -> Int32
  {
    let numbers = ranks.flatMap(Self.list) ?? [communicator.size]
    let console = Console(isSpeaking: communicator.rank == 0)
    let measurement = try measure(configuration, numbers, communicator, console)
    let link = try link(measurement)
    var bucketMebibytes = BucketSize.usualMebibytes
    if case .mebibytes(let size) = configuration.bucketSize { bucketMebibytes = size }
    var question = ScalePlan.Question(
      batchSize: batchSize, ranks: numbers, ranksPerNode: ranksPerNode ?? measurement.ranksPerNode,
      configuration.reduction, configuration.gradientExchange,
      bucketMebibytes: bucketMebibytes, link.model, linkIsMeasured: link.isMeasured)
    question.nodeMeanTimeBetweenFailures = mtbf.flatMap(Quantity.seconds)
    question.checkpointSeconds = checkpointTime.flatMap(Quantity.seconds) ?? 0
    question.restartSeconds = Quantity.seconds(restartTime) ?? 0
    let plan = ScalePlan(question, measurement)
    let comparison = verify ? try compare(plan, configuration, communicator, console) : nil
    guard communicator.rank == 0 else { return 0 }
    if json {
      try printJSON(PlanOutput(plan: plan, verification: comparison))
    } else {
      print(plan.description + (comparison.map { "\n\n\($0)" } ?? ""))
    }
    return 0
  }

  private func measure(
    _ configuration: TrainingConfiguration, _ numbers: [Int], _ communicator: any Communicator,
    _ console: Console
  ) throws -> ScaleMeasurement {
    if let measured { return try onAllRanks(communicator) { try PlanOutput.read(measured).plan.measurement } }
    let (resolved, architecture) = try onAllRanks(communicator) { try configuration.resolved() }
    let own = verify ? [communicator.size] : []
    let shares = ScalePlan.shares(batchSize: batchSize, ranks: numbers + own)
    return try ScaleMeasurement.take(
      resolved, architecture, classes: classes, shares: shares, steps: steps, warmupSteps: warmupSteps,
      communicator
    ) { console.line("measuring \($0)") }
  }

  private func link(_ measurement: ScaleMeasurement) throws -> (model: LinkModel, isMeasured: Bool) {
    if let rate = bandwidth.flatMap(Quantity.bitsPerSecond), let latency = latency.flatMap(Quantity.seconds) {
      return (LinkModel(latency: latency, bitsPerSecond: rate), false)
    }
    if let fit = measurement.link { return (fit.link, true) }
    throw ExitError(
      code: 64,
      "nothing is known of the network – one process cannot measure it – give --bandwidth and --latency, or start icnn "
        + "plan under mpirun on two hosts or more", isShared: true)
  }

  /// Times the real step on these ranks and says what was predicted for it.
  private func compare(
    _ plan: ScalePlan, _ configuration: TrainingConfiguration, _ communicator: any Communicator,
    _ console: Console
  ) throws -> PlanVerification {
    console.line("measuring the real step")
    var question = plan.question
    question.ranks = [communicator.size]
    question.ranksPerNode = plan.measurement.ranksPerNode
    let (resolved, architecture) = try onAllRanks(communicator) {
      try configuration.validate(ranks: communicator.size)
      return try configuration.resolved()
    }
    let bench = try Benchmark(resolved, architecture, classes: classes, communicator)
    let report = try bench.run(steps: steps, warmupSteps: warmupSteps)
    let predicted = ScalePlan(question, plan.measurement).strong[0]
    return PlanVerification(
      ranks: communicator.size, predictedStepMilliseconds: predicted.stepMilliseconds,
      measuredStepMilliseconds: report.stepMillisecondsMedian)
  }

  private static func list(_ text: String) -> [Int]? {
    let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
    guard numbers.allSatisfy({ ($0 ?? 0) >= 1 && $0! <= 1 << 20 }) else { return nil }
    return numbers.map { $0! }
  }
}

/// A prediction beside what happened.
struct PlanVerification: Codable, CustomStringConvertible {
  var ranks: Int
  var predictedStepMilliseconds: Double
  var measuredStepMilliseconds: Double

  var description: String {
    let error = predictedStepMilliseconds / measuredStepMilliseconds - 1
    return
      "on these \(ranks) ranks a step was predicted to take \(text(predictedStepMilliseconds)) ms and took "
      + "\(text(measuredStepMilliseconds)) ms (median): \(error < 0 ? "−" : "+")\(text(abs(100 * error))) %"
  }

  private func text(_ value: Double) -> String { String(format: "%.1f", value) }
}

/// What `--json` prints and `--measured` reads.
struct PlanOutput: Codable {
  var plan: ScalePlan
  var verification: PlanVerification?

  /// Throws `ExitError` 66 if the file is missing, 65 if it is not one.
  static func read(_ path: String) throws -> PlanOutput {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw ExitError(
        code: 66, "measurements cannot be read – \(path) – give a file that `icnn plan --json` printed")
    }
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    do { return try decoder.decode(PlanOutput.self, from: data) } catch {
      throw ExitError(
        code: 65, "not what `icnn plan --json` printed – \(path) – measure anew (\(error))")
    }
  }
}
