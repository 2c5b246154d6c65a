import Foundation
import Testing

@testable import Weights

/// Networks of reduced width in the files that users bring, with what PyTorch computes from them.
///
/// Some lie with the tests; the rest, and the images, in `weights-sample` of `ICNN_DATA_DIR` or of ../shared/data.
enum Samples {
  /// One network of `expected.json`.
  struct Expected: Decodable {
    struct Tensor: Decodable {
      let shape: [Int]
      let sum: Double
      let first: [Double]
      let last: [Double]
    }

    struct LastConvolution: Decodable {
      struct Statistics: Decodable {
        let shape: [Int]
        let sum: Double
        let max: Double
      }

      let stats: Statistics
      /// [maximum, row, column] of each channel.
      let peaks: [[Double]]

      enum CodingKeys: String, CodingKey {
        case stats
        case peaks = "channel_max_row_col"
      }
    }

    let logits: [Double]
    let softmax: [Double]
    let lastConvolution: LastConvolution
    let halfLogits: [Double]?

    enum CodingKeys: String, CodingKey {
      case logits, softmax
      case lastConvolution = "last_conv"
      case halfLogits = "logits_with_float16_weights"
    }
  }

  /// A file beside the tests.
  static func bundled(_ name: String) -> String {
    Bundle.module.resourcePath! + "/Samples/" + name
  }

  /// The folder with all samples and the images; nil on a machine that has it not.
  static let folder: String? = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let data =
      ProcessInfo.processInfo.environment["ICNN_DATA_DIR"] ?? root.deletingLastPathComponent().path
      + "/shared/data"
    let path = data + "/weights-sample"
    return FileManager.default.fileExists(atPath: path) ? path : nil
  }()

  /// What is known of a network ("alexnet").
  static func expected(_ network: String) throws -> Expected {
    try JSONDecoder().decode(Expected.self, from: JSONSerialization.data(withJSONObject: json(network)))
  }

  /// What is known of its tensors.
  static func tensors(_ network: String) throws -> [String: Expected.Tensor] {
    let tensors = try #require(json(network)["tensors"])
    return try JSONDecoder().decode(
      [String: Expected.Tensor].self, from: JSONSerialization.data(withJSONObject: tensors))
  }

  private static func json(_ network: String) throws -> [String: Any] {
    let data = try Data(contentsOf: URL(fileURLWithPath: bundled("expected.json")))
    let all = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    return try #require(all[network] as? [String: Any])
  }

  /// A new folder that is removed after `body`.
  static func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    let path = NSTemporaryDirectory() + "icnn-weights-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try body(path)
  }
}
