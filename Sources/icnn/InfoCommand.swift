import ArgumentParser
import Foundation
import Interpretability
import Networks
import Training

/// `icnn info`.
struct InfoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "What a checkpoint holds, or what a network consists of; every checksum is verified.",
    discussion: """
      The table has a line a layer. mult-adds: of a convolution or linear layer for one image; an operation count is \
      twice that. field, stride, offset: side of what one unit sees of the input, distance of neighbouring units, and \
      where the first one's field has its centre, in pixels from the top left corner.
      """)

  @Argument(help: "Checkpoint, or a run whose newest one is meant.") var checkpoint: String?
  @OptionGroup(title: "Without a checkpoint") var plan: PlannedNetwork
  @Flag(help: "Print JSON.") var json = false

  func validate() throws {
    guard (checkpoint == nil) != (plan.network == nil) else {
      throw ValidationError("give a checkpoint, or --network NAME")
    }
  }

  func run() throws {
    guard let checkpoint else { return try describe(NetworkSummary(plan.build())) }
    let description = try CheckpointDescription(checkpoint) { printError("passed over: \($0)") }
    if json { try printJSON(description) } else { print(description.text) }
  }

  private func describe(_ network: NetworkSummary) throws {
    if json { try printJSON(network) } else { print(NetworkTable(network)) }
  }
}

/// A network that nobody has trained yet.
struct PlannedNetwork: ParsableArguments {
  @Option(help: "alexnet, caffe-alexnet, vgg-m, vgg-s, vgg16, resnet18, resnet50, densenet121 or compact.")
  var network: String?
  @Flag(help: "Without masks.") var ordinary = false
  @Option(help: "Side of the square input, in pixels. (default: the network's own)") var imageSize: Int?
  @Option(help: "Number of logits.") var outputs = 1000

  func validate() throws {
    guard (1...65_536).contains(outputs) else { throw ValidationError("--outputs takes 1 to 65536") }
    guard (1...4096).contains(imageSize ?? 1) else { throw ValidationError("--image-size takes 1 to 4096") }
  }

  /// The network, its parameters zero.
  func build() throws -> Network {
    var configuration = TrainingConfiguration()
    configuration.network = network ?? configuration.network
    configuration.interpretable = !ordinary
    configuration.imageSize = imageSize
    let (resolved, architecture) = try configuration.resolved()
    return architecture.build(resolved.networkOptions(outputs: outputs))
  }
}
