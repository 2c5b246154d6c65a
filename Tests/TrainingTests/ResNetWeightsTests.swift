import Datasets
import Foundation
import Tensors
import Testing

@testable import Networks
@testable import Training

/// A ResNet-18 of a sixteenth of the width, as PyTorch wrote it, on a picture. The files are not part of the project:
/// `ICNN_WEIGHTS_DIR` names their folder, and the test says that it is skipped without it.
@Suite("ResNet weights") struct ResNetWeightsTests {
  private static let folder = ProcessInfo.processInfo.environment["ICNN_WEIGHTS_DIR"] ?? ""
  private static let isPresent = FileManager.default.fileExists(atPath: "\(folder)/resnet18_w16.safetensors")

  private struct Expected: Decodable {
    struct Network: Decodable { let logits: [Float] }
    let resnet18: Network
  }

  /// A tensor of the file; the project's reader knows no Int64, of which the file has counters too.
  private static func floats(_ name: String, _ shape: [Int], in file: Data) throws -> [Float] {
    let length = file.withUnsafeBytes { Int(UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self))) }
    let header = try JSONSerialization.jsonObject(with: file[8..<8 + length]) as? [String: Any]
    let entry = try #require(header?[name] as? [String: Any], "\(name)")
    let offsets = try #require(entry["data_offsets"] as? [Int])
    #expect(entry["shape"] as? [Int] == shape && entry["dtype"] as? String == "F32", "\(name)")
    return file.withUnsafeBytes { bytes in
      (0..<(offsets[1] - offsets[0]) / 4).map {
        bytes.loadUnaligned(fromByteOffset: 8 + length + offsets[0] + 4 * $0, as: Float.self)
      }
    }
  }

  @Test(
    "the logits are PyTorch's",
    .enabled(if: isPresent, "ICNN_WEIGHTS_DIR names no folder with resnet18_w16.safetensors"))
  func logits() throws {
    let file = try Data(contentsOf: URL(fileURLWithPath: "\(Self.folder)/resnet18_w16.safetensors"))
    var options = NetworkOptions(outputs: 10)
    options.widthDivisor = 16
    options.roundsWidths = false
    let network = Architecture.resNet18.build(options)
    for parameter in network.store.parameters {
      parameter.importValues(try Self.floats(parameter.name, parameter.shape, in: file))
    }
    for state in network.states {
      for (index, value) in try Self.floats(state.name, state.shape, in: file).enumerated() {
        state.values[index] = Double(value)
      }
    }
    let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: "\(Self.folder)/input_224.png")))
    let picture = try ImageDecoder().decode(bytes)
    let (mean, deviation): ([Float], [Float]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    let images = Tensor(network.inputShape, .interleaved)
    for index in 0..<224 * 224 * 3 {
      images.pointer[index] = (Float(picture.pixels[index]) / 255 - mean[index % 3]) / deviation[index % 3]
    }
    let context = StepContext()
    context.mode = .evaluation
    context.sampleKeys = [0]
    let found = try network.forward(images, context).toArray()
    let json = try Data(contentsOf: URL(fileURLWithPath: "\(Self.folder)/expected.json"))
    let expected = try JSONDecoder().decode(Expected.self, from: json).resnet18.logits
    #expect(found.count == 10)
    for (one, other) in zip(found, expected) { #expect(abs(one - other) < 1e-4) }
  }
}
