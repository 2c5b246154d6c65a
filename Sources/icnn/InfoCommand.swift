import ArgumentParser
import Foundation
import Networks
import Training

/// `icnn info`.
struct InfoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info", abstract: "What a checkpoint holds; every checksum is verified.")

  @Argument(help: "Checkpoint, or a run whose newest one is meant.") var checkpoint: String
  @Flag(help: "Print the state as JSON.") var json = false

  func run() throws {
    let trained = try TrainedNetwork(checkpoint) { printError("passed over: \($0)") }
    if json {
      var state = trained.state
      state.preprocessing.mean = []
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
      print(String(decoding: try encoder.encode(state), as: UTF8.self))
      return
    }
    let state = trained.state
    let configuration = state.configuration
    print(
      """
      checkpoint    \(trained.directory)
      written by    icnn \(state.programVersion)
      network       \(configuration.network), \(configuration.interpretable ? "interpretable" : "ordinary")
      input         \(state.preprocessing.imageSize) × \(state.preprocessing.imageSize) pixels
      classes       \(state.classNames.joined(separator: ", "))
      parameters    \(state.parameterCount)
      position      step \(state.step), epoch \(state.epoch)
      validation    \(state.validationAccuracy.map { "accuracy \($0.fixed(4))" } ?? "none yet")
      data          \(configuration.data), fingerprint \(state.dataFingerprint)
      """)
    if configuration.interpretable {
      print(
        "formulation   \(configuration.formulation.rawValue), \(configuration.filterGradient.rawValue), "
          + "filter loss \(configuration.filterLoss.rawValue)")
    }
    print("\nlayers")
    var shape = trained.network.inputShape
    for layer in trained.network.layers {
      shape = layer.outputShape(for: shape)
      let count = layer.parameters.reduce(0) { $0 + $1.count }
      let extent =
        shape.cells == 1 ? "\(shape.channels)" : "\(shape.channels) × \(shape.height) × \(shape.width)"
      print("  \(pad(layer.name, 24))\(pad(extent, 18))\(count == 0 ? "" : "\(count)")")
    }
  }

  private func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(1, width - text.count))
  }
}
