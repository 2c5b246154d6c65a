import TestSupport
import Testing

@testable import Interpretability

@Suite("HeatMap") struct HeatMapTests {
  /// At the centre of cell (r, c) of an n×n map the enlarged map has the cell's own value.
  @Test("cells keep their values at their centres, between them values are between", arguments: [1, 3, 6])
  func enlarged(cells: Int) {
    let map = (0..<cells * cells).map { Float(($0 * 7) % 11) }
    let highest = map.max()!
    // An odd number of pixels per cell has one at the centre.
    let heat = HeatMap(map, height: cells, width: cells, side: cells * 5)
    for (cell, value) in map.enumerated() {
      let pixel = (cell / cells * 5 + 2) * cells * 5 + cell % cells * 5 + 2
      #expect(abs(heat.values[pixel] - (highest > 0 ? value / highest : 0)) < 1e-6)
    }
    #expect(heat.values.allSatisfy { (0...1).contains($0) })
    #expect(heat.values.count == cells * 5 * cells * 5)
  }

  @Test("parts are counted in units of their filters' thresholds; silent filters are left out")
  func parts() {
    let maps: [[Float]] = [[2, 0, 0, 0], [0, 30, 0, 0], [0, 0, 99, 0]]
    let heat = HeatMap(partsIn: maps, thresholds: [2, 10, 0], height: 2, width: 2, side: 6)
    // 1 at the first cell, 3 at the second, nothing below.
    #expect(abs(heat.values[0] - 1 / 3) < 1e-6 && abs(heat.values[5] - 1) < 1e-6)
    #expect(heat.values[30] == 0 && heat.values[35] == 0)
  }

  @Test("evidence for and against cancels; nothing at all is no NaN")
  func evidence() {
    let heat = HeatMap(evidence: [[1, -1], [2, 0.5]], height: 1, width: 2, side: 2)
    #expect(heat.values[0] == 1 && heat.values[1] == 0)
    let none = HeatMap(evidence: [[-1, -2]], height: 1, width: 2, side: 4)
    #expect(none.values.allSatisfy { $0 == 0 })
    #expect(HeatMap(evidence: [], height: 1, width: 1, side: 3).values.allSatisfy { $0 == 0 })
    let broken = HeatMap(evidence: [[.infinity, 1]], height: 1, width: 2, side: 4)
    #expect(broken.values.allSatisfy { $0 == 0 })
  }
}
