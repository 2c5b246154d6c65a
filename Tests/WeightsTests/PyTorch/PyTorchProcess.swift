import Foundation
import TestSupport
import Testing

/// What PyTorch computes from a file of weights.
struct PyTorchProcess: Decodable {
  let logits: [Double]
  let classes: [String]

  /// A Python with PyTorch: `ICNN_PYTORCH_PYTHON`, or the one that `make peer-environment` makes.
  static let python = PythonEnvironment.python(variable: "ICNN_PYTORCH_PYTHON", name: "peer")

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
