import Foundation
import TestSupport
import Testing

/// What the tensorboard package finds in a run folder.
struct TensorBoardReader: Decodable {
  struct Histogram: Decodable {
    let step: Int
    let min: Double, max: Double, num: Double, sum: Double
    let sumSquares: Double
    let limits: [Double], counts: [Double]

    enum CodingKeys: String, CodingKey {
      case step, min, max, num, sum, limits, counts
      case sumSquares = "sum_squares"
    }
  }

  struct Image: Decodable {
    let step: Int, width: Int, height: Int
    let png: Data
  }

  /// [[step, value]] by tag.
  let scalars: [String: [[Double]]]
  let histograms: [String: [Histogram]]
  let images: [String: [Image]]
  /// Tags that each part of the web application shows.
  let plugins: [String: [String]]

  /// A Python with tensorboard: `ICNN_TENSORBOARD_PYTHON`, or the one that `make tensorboard-environment` makes.
  static let python = PythonEnvironment.python(variable: "ICNN_TENSORBOARD_PYTHON", name: "tensorboard")

  init(folder: String) throws {
    let script = try #require(Bundle.module.url(forResource: "read_events", withExtension: "py"))
    let outcome = try ProcessRun(try #require(Self.python), [script.path, folder]).wait()
    try #require(outcome.exitCode == 0, "\(outcome.stderr)")
    self = try JSONDecoder().decode(Self.self, from: Data(outcome.stdout.utf8))
  }
}
