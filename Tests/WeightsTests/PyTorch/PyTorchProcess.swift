import Foundation
import TestSupport
import Testing

/// What PyTorch computes from a file of weights.
struct PyTorchProcess: Decodable {
  let logits: [Double]
  let classes: [String]

  /// A Python with PyTorch: `ICNN_PYTORCH_PYTHON`, or the one that `make peer-environment` makes.
  static let python: URL? = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let path =
      ProcessInfo.processInfo.environment["ICNN_PYTORCH_PYTHON"] ?? root.path + "/.build-peer/bin/python"
    return FileManager.default.isExecutableFile(atPath: path) ? URL(fileURLWithPath: path) : nil
  }()

  /// Runs `evaluate_weights.py`.
  init(weights: String, pixels: String) throws {
    let script = try #require(Bundle.module.url(forResource: "evaluate_weights", withExtension: "py"))
    let outcome = try ProcessRun(
      try #require(Self.python), [script.path, weights, pixels], timeoutSeconds: 300
    ).wait()
    try #require(outcome.exitCode == 0, "\(outcome.stderr.suffix(2000))")
    self = try JSONDecoder().decode(Self.self, from: Data(outcome.stdout.utf8))
  }
}
