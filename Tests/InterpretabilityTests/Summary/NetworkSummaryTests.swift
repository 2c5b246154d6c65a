import Interpretability
import Networks
import Testing

@Suite("Summary of a network") struct NetworkSummaryTests {
  private func summary(
    _ architecture: Architecture, _ options: InterpretableOptions? = nil, outputs: Int = 1000
  ) -> NetworkSummary {
    NetworkSummary(architecture.build(NetworkOptions(outputs: outputs, interpretable: options)))
  }

  private func leaves(_ layers: [LayerSummary]) -> [LayerSummary] {
    layers.flatMap { $0.parts.isEmpty ? [$0] : leaves($0.parts) }
  }

  /// Parameters and multiply-adds as torchvision's documentation states them (num_params, GFLOPS) at 224 pixels.
  @Test(
    "parameters and multiply-adds are the published ones",
    arguments: [
      (Architecture.alexNet, 61_100_840, 0.71), (.vgg16, 138_357_544, 15.47), (.resNet18, 11_689_512, 1.81),
      (.resNet50, 25_557_032, 4.09),
    ])
  func published(_ architecture: Architecture, _ parameters: Int, _ billions: Double) {
    let summary = summary(architecture)
    #expect(summary.parameters == parameters)
    #expect((Double(summary.multiplyAdds) / 1e7).rounded() / 100 == billions)
    #expect(summary.outputs == 1000 && summary.input == [3, 224, 224])
  }

  /// Known from Araujo, Norris, Sim, "Computing receptive fields of convolutional neural networks" (Distill, 2019).
  @Test(
    "receptive fields are the published ones",
    arguments: [
      (Architecture.alexNet, "features.10", 163, 16), (.vgg16, "features.28", 196, 16),
      (.vgg16, "features.30", 212, 32), (.resNet18, "layer4.1", 435, 32),
    ])
  func fields(_ architecture: Architecture, _ layer: String, _ size: Int, _ stride: Int) throws {
    let field = try #require(summary(architecture).layers.first { $0.name == layer }?.receptiveField)
    #expect(field.vertical == field.horizontal)
    #expect(field.vertical.size == size && field.vertical.stride == stride)
  }

  @Test("a block's parts are its two chains, and what they count adds up to the block")
  func blocks() throws {
    let layers = summary(.resNet50).layers
    let block = try #require(layers.first { $0.name == "layer2.0" })
    #expect(block.kind == "residual block" && block.output == [512, 28, 28])
    let names = [
      "conv1", "bn1", "relu1", "conv2", "bn2", "relu2", "conv3", "bn3", "downsample.0", "downsample.1",
    ]
    #expect(block.parts.map(\.name) == names.map { "layer2.0." + $0 })
    // The shortcut reads the block's input of 256 channels and 56 rows, with a stride of 2.
    let shortcut = try #require(block.parts.first { $0.name == "layer2.0.downsample.0" })
    #expect(shortcut.output == [512, 28, 28])
    #expect(shortcut.multiplyAdds == 256 * 512 * 28 * 28)
    #expect(block.parameters == block.parts.reduce(0) { $0 + $1.parameters })
    #expect(block.multiplyAdds == block.parts.reduce(0) { $0 + $1.multiplyAdds })
    let identity = try #require(layers.first { $0.name == "layer2.1" })
    #expect(identity.parts.count == 8)
    #expect(leaves(layers).reduce(0) { $0 + $1.parameters } == 25_557_032)
  }

  @Test("flattened maps and what follows have no place in the image")
  func vectors() throws {
    let layers = summary(.compact, InterpretableOptions(), outputs: 6).layers
    let mask = try #require(layers.first { $0.name == "interpretable.mask0" })
    #expect(mask.receptiveField != nil && mask.output == [192, 12, 12] && mask.kind == "interpretable mask")
    let logits = try #require(layers.last)
    #expect(logits.receptiveField == nil && logits.output == [6] && logits.parameters == 192 * 6 + 6)
  }

  @Test(
    "every network fits into a hundred columns, its columns one below the other", arguments: Architecture.all)
  func table(_ architecture: Architecture) {
    for options in [nil, InterpretableOptions()] {
      let summary = summary(architecture, options)
      let lines = NetworkTable(summary).description.split(separator: "\n", omittingEmptySubsequences: false)
      func rows(_ layers: [LayerSummary]) -> Int { layers.reduce(0) { $0 + 1 + rows($1.parts) } }
      #expect(lines.count == rows(summary.layers) + 2)
      #expect(lines.allSatisfy { $0.count <= 100 && $0.last != " " })
      let end = lines[0].distance(from: lines[0].startIndex, to: lines[0].range(of: "parameters")!.upperBound)
      let column = lines.compactMap { line -> Character? in
        line.count >= end ? line[line.index(line.startIndex, offsetBy: end - 1)] : nil
      }
      #expect(column.dropFirst().allSatisfy { $0.isNumber || $0 == " " })
      #expect(lines[lines.count - 1].hasPrefix("total"))
      #expect(lines[lines.count - 1].contains(NetworkTable.grouped(summary.parameters)))
    }
  }

  @Test(
    "counts are told with separators, or with three digits and a unit",
    arguments: [
      (0, "0", "0 "), (999, "999", "999 "), (1000, "1,000", "1 k"), (999_600, "999,600", "1 M"),
      (61_100_840, "61,100,840", "61.1 M"), (15_470_264_320, "15,470,264,320", "15.5 G"),
    ])
  func numbers(_ count: Int, _ grouped: String, _ scaled: String) {
    #expect(NetworkTable.grouped(count) == grouped)
    #expect(NetworkTable.scaled(count) == scaled)
  }
}
