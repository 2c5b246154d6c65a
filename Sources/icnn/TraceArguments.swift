import ArgumentParser
import Foundation
import Training

/// A timeline of some steps: flags of `icnn train` and `icnn bench`.
struct TraceArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Write what every rank did when, for chrome://tracing or ui.perfetto.dev.", valueName: "file"))
  var trace: String?
  @Option(
    help: ArgumentHelp(
      "Steps that are traced, the first of this start being 1. (default: 3..12)", valueName: "first..last"))
  var traceSteps: String?

  func validate() throws {
    guard let traceSteps else { return }
    guard trace != nil else { throw ValidationError("--trace-steps needs --trace FILE") }
    guard Self.range(traceSteps) != nil else {
      throw ValidationError("--trace-steps takes FIRST..LAST, such as 3..12, not '\(traceSteps)'")
    }
  }

  /// What was asked for; nil: no trace.
  var options: TraceOptions? {
    trace.map { path in
      traceSteps.flatMap(Self.range).map { TraceOptions(path: path, steps: $0) } ?? TraceOptions(path: path)
    }
  }

  /// "3..12" → 3...12
  static func range(_ text: String) -> ClosedRange<Int>? {
    let bounds = text.components(separatedBy: "..").compactMap { Int($0) }
    guard bounds.count == 2, bounds[0] >= 1, bounds[0] <= bounds[1], text.split(separator: "..").count == 2
    else { return nil }
    return bounds[0]...bounds[1]
  }
}
