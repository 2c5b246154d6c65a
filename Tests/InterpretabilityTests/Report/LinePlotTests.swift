import Foundation
import Testing

@testable import Interpretability

#if canImport(FoundationXML)
  import FoundationXML
#endif

@Suite("Line plots") struct LinePlotTests {
  @Test(
    "axes end at round numbers around all values and have few ticks",
    arguments: [(0, 1), (0, 0.37), (-2.3, 7.9), (0, 123_456), (0.001, 0.0013), (5, 5), (0, 1e-9), (-4, -1)])
  func axis(_ from: Double, _ to: Double) {
    let axis = Axis(covering: from, to)
    #expect(axis.lower <= from + 1e-12 && axis.upper >= to - 1e-12)
    #expect((2...9).contains(axis.ticks.count))
    #expect(Set(axis.ticks.map(axis.label)).count == axis.ticks.count)
    #expect(axis.lower < axis.upper)
  }

  @Test("steps have whole ticks and end with the last step")
  func integers() {
    #expect(Axis(steps: 3).ticks == [0, 1, 2, 3])
    #expect(Axis(steps: 1200).ticks == [0, 500, 1000] && Axis(steps: 1200).upper == 1200)
    #expect(Axis(steps: 1).ticks == [0, 1])
  }

  @Test("points lie where the axes say; one point is seen; words tell the values")
  func places() throws {
    var curve = TrainingCurves.Curve()
    curve.append(0, at: 0)
    curve.append(1, at: 1000)
    let line = LinePlot.Line(name: "a & b", network: 0, stroke: .validation, curve: curve)
    let svg = try #require(LinePlot(title: "Loss", lines: [line])).svg(identifier: "p")
    #expect(svg.contains("d=\"M58.0 258.0L546.0 12.0\""))
    #expect(svg.contains("a &amp; b: 2 values from step 0 to 1000; first 0.000, last 1.000"))
    #expect(XMLParser(data: Data(svg.utf8)).parse())
    var single = TrainingCurves.Curve()
    single.append(3, at: 7)
    let dot = LinePlot.Line(name: "c", network: 1, stroke: .training, curve: single)
    #expect(try #require(LinePlot(title: "Loss", lines: [dot])).svg(identifier: "p").contains("<circle"))
  }

  @Test("nothing to draw, no plot")
  func empty() {
    let line = LinePlot.Line(name: "a", network: 0, stroke: .training, curve: TrainingCurves.Curve())
    #expect(LinePlot(title: "Loss", lines: [line]) == nil)
  }
}
