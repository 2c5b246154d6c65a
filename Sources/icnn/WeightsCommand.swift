import ArgumentParser
import Datasets
import Foundation
import Networks
import Training
import Weights

/// `icnn weights …`.
struct WeightsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "weights", abstract: "Weights of networks, from and to other programs.",
    subcommands: [ConvertCommand.self, ShowCommand.self])

  /// `icnn weights convert`.
  struct ConvertCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "convert",
      abstract: "Write weights as safetensors, under torchvision's names, or a whole network as ONNX.",
      discussion: """
        IN is a safetensors file, a .pth of PyTorch (a state_dict or a training checkpoint with one), a MatConvNet .mat, \
        or a checkpoint or run of icnn. Nothing in a .pth is executed. The metadata of the result say which network it \
        is, how images become inputs, and for checkpoints the classes and the filters' categories.

        An ONNX model takes pixels, RGB in 0…255, [N, 3, H, W], as its input 'image' and gives 'logits'; masks and \
        preprocessing are in it.
        """)

    @Argument(help: ArgumentHelp("What to read.", valueName: "in")) var source: String
    @Argument(help: ArgumentHelp("File to write: .safetensors or .onnx.", valueName: "out")) var result:
      String
    @Option(help: "Which network it is, where the file leaves that open (vgg-m and vgg-s have equal shapes).")
    var network: String?

    func run() throws {
      switch (result as NSString).pathExtension {
      case "safetensors": try writeSafeTensors()
      case "onnx": try writeONNX()
      default:
        throw ExitError(
          code: 64,
          "only safetensors and ONNX are written – \(result) – let the name end in .safetensors or .onnx")
      }
    }

    private func writeONNX() throws {
      let model = try ONNXModel.open(source) { try WeightsCommand.match($0, network) }
      try model.write(to: result)
      print("\(model.operatorCount) operators, \(model.valueCount) values, in \(result)")
    }

    private func writeSafeTensors() throws {
      let file = try WeightsFile.open(source)
      let match = try WeightsCommand.match(file, network)
      let export = WeightsExport(file, match)
      try export.write(to: result)
      print(
        "\(file.tensors.count) arrays, \(match?.architecture.name ?? "of an unknown network"), in \(result)")
    }
  }

  /// `icnn weights show`.
  struct ShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show", abstract: "What a file of weights holds: arrays, network, preprocessing.")

    @Argument(help: "Safetensors, .pth or .mat file, checkpoint or run.") var file: String
    @Flag(help: "Print it as JSON.") var json = false

    func run() throws {
      let file = try WeightsFile.open(file)
      let summary = WeightsSummary(file)
      if json { try printJSON(summary) } else { print(summary.text) }
    }
  }

  /// The network of a file: the one that is named, or the only one that fits.
  static func match(_ file: WeightsFile, _ name: String?) throws -> ArchitectureMatch? {
    guard let name else { return ArchitectureMatch.only(for: file) }
    guard let architecture = Architecture.named(name) else {
      let known = Architecture.all.map(\.name).joined(separator: ", ")
      throw ExitError(code: 64, "no network '\(name)' – --network – choose one of \(known)")
    }
    guard let match = ArchitectureMatch(architecture, file) else {
      throw WeightsError.mismatch(path: file.path, reason: "its arrays are not those of \(name)")
    }
    return match
  }
}
