import Foundation
import Networks
import Testing

@testable import Weights

@Suite("Which network a file is of") struct ArchitectureMatchTests {
  /// A file with the parameters of a network, zero.
  private func file(
    _ name: String, widths: [String: Int] = [:], outputs: Int = 7, stated: String? = nil,
    change: (inout [String: [Int]]) -> Void = { _ in }
  ) throws -> WeightsFile {
    var options = NetworkOptions(outputs: outputs)
    options.widths = widths
    let parameters = try #require(Architecture.named(name)).layers(options).layers.flatMap(\.parameters)
    var shapes = Dictionary(uniqueKeysWithValues: parameters.map { ($0.name, $0.shape) })
    change(&shapes)
    let tensors = shapes.map { name, shape in
      // One zero would do: a network of published width has half a gigabyte of them.
      StoredTensor(name, .uint8, shape: shape, Zeros(byteCount: shape.reduce(1, *)), path: "file")
    }
    return WeightsFile(path: "file", format: .torch, tensors: tensors, statedArchitecture: stated)
  }

  private struct Zeros: TensorStorage {
    let byteCount: Int
    func bytes(_ range: Range<Int>) -> Data { Data(count: range.count) }
  }

  @Test("every network is recognised by its shapes", arguments: Architecture.all.map(\.name))
  func recognised(_ name: String) throws {
    let matches = ArchitectureMatch.all(for: try file(name))
    let alike: Set = ["vgg-m", "vgg-s"]
    #expect(Set(matches.map(\.architecture.name)) == (alike.contains(name) ? alike : [name]))
    #expect(matches.allSatisfy { $0.outputs == 7 && $0.widths.isEmpty })
    // The two differ in strides alone: the file must say which it is.
    #expect(ArchitectureMatch.only(for: try file(name, stated: name))?.architecture.name == name)
  }

  @Test("timm's VGG-16, whose classifier is made of convolutions, is torchvision's")
  func timm() throws {
    let names = [
      "classifier.0": "pre_logits.fc1", "classifier.3": "pre_logits.fc2", "classifier.6": "head.fc",
    ]
    let entries = try file("vgg16", widths: ["classifier.0": 6, "classifier.3": 5]).tensors.map { tensor in
      let parts = tensor.name.split(separator: ".")
      let layer = parts.dropLast().joined(separator: "."), kind = parts[parts.count - 1]
      let shape =
        switch (layer, kind) {
        case ("classifier.0", "weight"): [6, 512, 7, 7]
        case ("classifier.3", "weight"): [5, 6, 1, 1]
        default: tensor.shape
        }
      return SafeTensors.Entry("\(names[layer] ?? layer).\(kind)", .uint8, shape: shape) { bytes in
        for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: index) }
      }
    }
    try Samples.withFolder { folder in
      try SafeTensors.write(entries, metadata: [:], to: folder + "/timm.safetensors")
      let file = try WeightsFile(path: folder + "/timm.safetensors")
      let match = try #require(ArchitectureMatch.only(for: file))
      #expect(match.architecture.name == "vgg16" && match.outputs == 7)
      #expect(match.widths == ["classifier.0": 6, "classifier.3": 5])
      let weights = try #require(file["classifier.0.weight"])
      #expect(weights.shape == [6, 25_088])
      #expect(
        try weights.contiguousBytes().prefix(300) == Data((0..<300).map { UInt8(truncatingIfNeeded: $0) }))
      #expect(!file.tensors.contains { $0.name.contains("fc") })
    }
  }

  @Test("widths are those of the file")
  func widths() throws {
    let widths = ["features.0": 4, "features.3": 13, "features.10": 200, "classifier.1": 5]
    let match = try #require(ArchitectureMatch.only(for: try file("alexnet", widths: widths)))
    #expect(match.widths == widths)
    #expect(match.outputs == 7)
  }

  @Test(
    "a DenseNet is found by its present names and by those of torchvision's published files, of any widths")
  func densenet() throws {
    let widths = [
      "features.conv0": 20, "features.denseblock1.denselayer2.conv2": 7,
      "features.denseblock3.denselayer9.conv1": 33,
      "features.transition2.conv": 100,
    ]
    let legacy = try file("densenet121", widths: widths) { shapes in
      shapes = Dictionary(
        uniqueKeysWithValues: shapes.map { name, shape in
          var name = name
          for part in ["norm1", "norm2", "conv1", "conv2"] where name.contains("denselayer") {
            name = name.replacingOccurrences(of: ".\(part).", with: ".\(part.dropLast()).\(part.last!).")
          }
          return (name, shape)
        })
    }
    for file in [try file("densenet121", widths: widths), legacy] {
      let match = try #require(ArchitectureMatch.only(for: file))
      #expect(match.architecture.name == "densenet121" && match.widths == widths && match.outputs == 7)
      // 20 of the first convolution, 32 and 7 of two layers.
      #expect(file["features.denseblock1.denselayer3.norm1.weight"]?.shape == [59])
    }
  }

  @Test("a file without the classifier, or with another's, is of the network still")
  func classifier() throws {
    let below = try #require(
      ArchitectureMatch.only(for: try file("alexnet") { $0 = $0.filter { $0.key.hasPrefix("features.") } }))
    #expect(below.outputs == nil && below.widths.isEmpty)
    let other = try #require(
      ArchitectureMatch.only(for: try file("alexnet") { $0["classifier.6.weight"] = [7, 9] }))
    #expect(other.outputs == nil)
  }

  @Test("another kernel, a missing layer, channels that do not fit, widths without sense")
  func strangers() throws {
    for change: (inout [String: [Int]]) -> Void in [
      { $0["conv3.weight"] = [384, 256, 5, 5] }, { $0["conv3.weight"] = nil },
      { $0["conv3.weight"] = [384, 255, 3, 3] },
      { $0["conv1.weight"] = [0, 3, 11, 11] }, { $0["conv1.weight"] = [96, 1, 11, 11] },
      { $0["conv5.weight"] = [256] },
      // 97 channels do not divide into two groups.
      { $0["conv1.weight"] = [97, 3, 11, 11] }, { $0["conv5.weight"] = [255, 192, 3, 3] },
    ] {
      #expect(ArchitectureMatch.all(for: try file("caffe-alexnet", change: change)).isEmpty)
    }
  }

  @Test("what a file says of itself does not make it fit")
  func stated() throws {
    #expect(ArchitectureMatch.only(for: try file("alexnet", stated: "vgg16"))?.architecture.name == "alexnet")
    #expect(ArchitectureMatch(.vgg16, try file("alexnet", stated: "vgg16")) == nil)
  }
}
