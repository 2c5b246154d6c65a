import Foundation
import Training

/// How far a run has come, as its folder shows from outside.
struct RunProgress: Equatable {
  /// The step of the newest checkpoint; nil if there is none.
  var checkpointStep: Int?
  /// Bytes of the log: it grows with every step.
  var logBytes: Int

  /// Looks into the folder `run`.
  init(_ run: String) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: run + "/checkpoints")) ?? []
    checkpointStep = names.filter { $0.hasPrefix("step-") }.compactMap { Int($0.dropFirst("step-".count)) }
      .max()
    let attributes = try? FileManager.default.attributesOfItem(atPath: run + "/metrics.jsonl")
    logBytes = attributes?[.size] as? Int ?? 0
  }

  /// Whether there is something that a resume could find.
  var hasBegun: Bool { checkpointStep != nil || logBytes > 0 }

  /// In a sentence: "from …".
  var description: String { checkpointStep.map { "step \($0)" } ?? "the beginning" }
}
