import Foundation
import Testing

@testable import Interpretability

@Suite("Training curves") struct TrainingCurvesTests {
  private func curves(_ lines: String) throws -> TrainingCurves {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent(
      "metrics-\(UUID().uuidString).jsonl")
    defer { try? FileManager.default.removeItem(at: file) }
    try Data(lines.utf8).write(to: file)
    return try TrainingCurves(metricsFile: file.path)
  }

  @Test("steps and validations become curves; null is left out")
  func reads() throws {
    let curves = try curves(
      """
      {"event":"start","step":0,"steps":3}
      {"event":"step","step":1,"loss":2.5,"task_loss":2,"filter_loss":0.5,"accuracy":0.25,"learning_rate":0.1}
      {"event":"step","step":2,"loss":2,"filter_loss":null,"accuracy":0.5,"learning_rate":0.1,"filters":[{"layer":"a"}]}
      {"event":"validation","step":2,"epoch":1,"loss":1.75,"accuracy":0.75}
      {"event":"checkpoint","step":2,"path":"x"}
      {"event":"end","step":2,"reason":"finished"}

      """)
    #expect(curves.loss.steps == [1, 2] && curves.loss.values == [2.5, 2])
    #expect(curves.filterLoss.steps == [1] && curves.filterLoss.values == [0.5])
    #expect(curves.accuracy.values == [0.25, 0.5] && curves.learningRate.values == [0.1, 0.1])
    #expect(curves.validationLoss.values == [1.75] && curves.validationAccuracy.values == [0.75])
    #expect(curves.validationAccuracy.steps == [2] && curves.unreadableLines == 0)
  }

  @Test("what a resumed run did again counts once, as it was done last")
  func resumed() throws {
    let curves = try curves(
      """
      {"event":"step","step":1,"loss":1}
      {"event":"step","step":2,"loss":2}
      {"event":"step","step":3,"loss":3}
      {"event":"validation","step":3,"loss":3}
      {"event":"start","step":1}
      {"event":"step","step":2,"loss":20}
      """)
    #expect(curves.loss.steps == [1, 2] && curves.loss.values == [1, 20])
    #expect(curves.validationLoss.steps.isEmpty)
  }

  @Test("broken lines are counted and left out")
  func broken() throws {
    let curves = try curves(
      "{\"event\":\"step\",\"step\":1,\"lo\nnonsense\n{\"event\":\"step\",\"step\":2,\"loss\":4}\n")
    #expect(curves.unreadableLines == 2 && curves.loss.values == [4])
  }

  @Test("a missing log is told with its path and what to do")
  func missing() {
    let error = #expect(throws: ReportError.self) {
      try TrainingCurves(metricsFile: "/nowhere/metrics.jsonl")
    }
    #expect(error?.description.contains("/nowhere/metrics.jsonl") == true && error?.exitCode == 66)
  }

  @Test("long curves are thinned to means of neighbours")
  func thinning() {
    var curve = TrainingCurves.Curve()
    for step in 1...1000 { curve.append(Double(step), at: step) }
    let thin = curve.thinned(to: 10)
    #expect(thin.steps == [50, 150, 250, 350, 450, 550, 650, 750, 850, 950])
    #expect(thin.values[0] == 50.5 && thin.values[9] == 950.5)
    #expect(curve.thinned(to: 1000) == curve)
  }
}
