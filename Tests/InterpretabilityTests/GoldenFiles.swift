import Datasets
import Foundation
import TestSupport
import Testing

@testable import Interpretability

/// The golden cases of the metrics.
enum GoldenFiles {
  static func read(_ name: String) throws -> GoldenCase {
    let folder = try #require(Bundle.module.resourceURL).appendingPathComponent("Golden")
    return try GoldenCase(folder.appendingPathComponent(name + ".json"))
  }
}

/// Relative to the expected value.
func isClose(_ a: Double?, _ b: Double, _ tolerance: Double = 1e-10) -> Bool {
  a.map { abs($0 - b) <= tolerance * max(abs(b), 1e-3) } ?? false
}
