import Foundation
import TestSupport
import Testing

/// What ONNX Runtime computes from a model, after onnx's own checker has passed it.
struct ONNXProcess: Decodable {
  /// [N][L].
  let logits: [[Double]]
  let metadata: [String: String]

  /// A Python with onnx and onnxruntime: `ICNN_ONNX_PYTHON`, or the one that `make onnx-environment` makes.
  static let python = PythonEnvironment.python(variable: "ICNN_ONNX_PYTHON", name: "onnx")

  /// Runs `evaluate_onnx.py` on images [N, H, W, 3], RGB in 0...255.
  init(model: String, pixels: [Float]) throws {
    let script = try #require(Bundle.module.url(forResource: "evaluate_onnx", withExtension: "py"))
    let images = model + ".pixels"
    try pixels.withUnsafeBytes { Data($0) }.write(to: URL(fileURLWithPath: images))
    let outcome = try ProcessRun(
      try #require(Self.python), [script.path, model, images], timeoutSeconds: 300
    ).wait()
    try #require(outcome.exitCode == 0, "\(outcome.stderr.suffix(2000))")
    self = try JSONDecoder().decode(Self.self, from: Data(outcome.stdout.utf8))
  }
}
