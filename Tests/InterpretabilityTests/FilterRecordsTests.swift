import Datasets
import Foundation
import Tensors
import TestSupport
import Testing

@testable import Interpretability

@Suite("FilterRecords") struct FilterRecordsTests {
  /// Random maps, some of them negative, many equal, 3 classes.
  static func planted(images: Int = 23, filters: Int = 5, side: Int = 3) -> PlantedMaps {
    var random = RandomSource(seed: 3, purpose: .test)
    let maps = (0..<images * filters * side * side).map { _ in Double(Int(random.uniform(-6, 10))) / 4 }
    var planted = PlantedMaps(
      maps, images: images, filters: filters, side: side, labels: (0..<images).map { $0 % 3 })
    planted.classNames = ["a", "b", "c"]
    planted.outputs = 3
    planted.options.records.tailProbability = 0.1
    return planted
  }

  private func map(_ planted: PlantedMaps, _ filter: Int, _ image: Int) -> [Float] {
    let cells = planted.side * planted.side, start = (image * planted.filterCount + filter) * cells
    return planted.maps[start..<start + cells].map { Float($0) }
  }

  @Test("peaks, means, thresholds and valid cells are those of the maps")
  func oracle() throws {
    let planted = Self.planted()
    let records = try planted.measure().0
    for filter in 0..<planted.filterCount {
      var all: [Float] = []
      for image in 0..<planted.imageCount {
        let map = map(planted, filter, image)
        let peak = map.max()!, cell = map.firstIndex(of: peak)!
        #expect(records.peakValue(filter, image) == peak)
        #expect(records.peakCell(filter, image) == (cell / 3, cell % 3))
        #expect(records.peakPoint(filter, image) == (Double(cell % 3 * 2 + 1), Double(cell / 3 * 2 + 1)))
        let mean = map.map { max($0, 0) }.reduce(0, +) / 9
        #expect(abs(records.meanActivation(filter, image) - mean) < 1e-6)
        all += map.map { max($0, 0) }
      }
      let threshold = all.sorted(by: >)[Int(0.1 * Double(all.count))]
      #expect(records.threshold(filter) == threshold)
      for image in 0..<planted.imageCount {
        let map = map(planted, filter, image)
        #expect(
          records.validCells(filter, image).map { Int($0) }
            == map.indices.filter { max(map[$0], 0) > threshold })
      }
    }
  }

  @Test("categories are those of the largest class mean; purity is its share")
  func categories() throws {
    let planted = Self.planted()
    let (records, metrics) = try planted.measure()
    for filter in 0..<planted.filterCount {
      let means = (0..<3).map { category -> Double in
        let own = (0..<planted.imageCount).filter { planted.labels[$0] == category }
        let sums = own.map { map(planted, filter, $0).map { max(Double($0), 0) }.reduce(0, +) / 9 }
        return sums.reduce(0, +) / Double(own.count)
      }
      let best = means.firstIndex(of: means.max()!)!
      #expect(records.categories[filter] == best)
      #expect(metrics.filters[filter].category == planted.classNames[best])
      #expect(isClose(metrics.filters[filter].purity, means[best] / means.reduce(0, +), 1e-6))
    }
    #expect(isClose(metrics.purity, metrics.filters.map { $0.purity! }.reduce(0, +) / 5))
    #expect(metrics.controls.purity == 1.0 / 3)
    #expect(metrics.categories.map(\.filters).reduce(0, +) == 5)
  }

  @Test("strongest images come in the order of their peaks, equal ones in that of the split")
  func strongest() throws {
    let planted = Self.planted()
    let (records, metrics) = try planted.measure()
    for filter in 0..<planted.filterCount {
      let peaks = (0..<planted.imageCount).map { map(planted, filter, $0).max()! }
      for category in [nil, 0, 2] {
        let expected = peaks.indices.filter { category == nil || planted.labels[$0] == category }
          .sorted { (-peaks[$0], $0) < (-peaks[$1], $1) }
        let strongest = records.strongestImages(filter, category: category, count: 5)
        #expect(strongest.map(\.image) == Array(expected.prefix(5)))
        #expect(strongest.map(\.value) == expected.prefix(5).map { peaks[$0] })
      }
      let row = metrics.filters[filter].strongest
      #expect(row.count == 4 && row[0].image.hasPrefix("images/\(metrics.filters[filter].category!)/"))
    }
  }

  @Test("lists of strongest cells are pruned without losing one", arguments: [1, 2, 7, 400])
  func pruning(count: Int) throws {
    var random = RandomSource(seed: 8, purpose: .test)
    let x = Tensor(Shape(batch: 5, channels: 18, height: 4, width: 6), .blocked)
    var cells = StrongestCells(filters: 18, count: count)
    var all: [[Float]] = Array(repeating: [], count: 18)
    for batch in 0..<6 {
      x.fill(from: (0..<5 * 18 * 24).map { _ in Float(random.index(below: 200)) })
      for (index, value) in x.toArray().enumerated() { all[index / 24 % 18].append(value) }
      cells.add(x, images: (0..<5).map { UInt32(batch * 5 + $0) })
    }
    for (filter, list) in try cells.gathered(.single).enumerated() {
      #expect(list.map(\.value) == Array(all[filter].sorted(by: >).prefix(count)))
    }
  }
}
