import Datasets
import TestSupport
import Testing

@testable import Interpretability

@Suite("Part correlation") struct PartCorrelationTests {
  private let landmarks: [PartCorrelation.Point] = [(10, 20), (30, 25), (22, 70), (64, 41), (5, 5)]

  private func correlation(_ peak: (PartCorrelation.Point) -> PartCorrelation.Point) -> Double? {
    PartCorrelation().correlation(landmarks.map { (peak($0), $0) })
  }

  @Test("1 for a peak beside the part, -1 for one that flees it, 0 for one that stays")
  func extremes() throws {
    #expect(abs(try #require(correlation { ($0.x + 8, $0.y - 3) }) - 1) < 1e-12)
    #expect(abs(try #require(correlation { (96 - $0.x, 96 - $0.y) }) + 1) < 1e-12)
    #expect(correlation { _ in (48, 48) } == 0)
  }

  @Test("one coordinate alone, by hand")
  func oneCoordinate() throws {
    // Peaks at the landmark's x and a fixed y: Σ dx² / √(Σ dx² · Σ (dx² + dy²)).
    let mean = (x: 131.0 / 5, y: 161.0 / 5)
    let along = landmarks.reduce(0) { $0 + ($1.x - mean.x) * ($1.x - mean.x) }
    let across = landmarks.reduce(0) { $0 + ($1.y - mean.y) * ($1.y - mean.y) }
    let expected = (along / (along + across)).squareRoot()
    #expect(abs(try #require(correlation { ($0.x, 7) }) - expected) < 1e-12)
  }

  @Test("too few images, or a part that never moves")
  func undefined() {
    let pairs = landmarks.map { (peak: $0, landmark: $0) }
    #expect(PartCorrelation().correlation(Array(pairs.prefix(2))) == nil)
    #expect(PartCorrelation().correlation(Array(pairs.prefix(3))) != nil)
    #expect(PartCorrelation().correlation(landmarks.map { ($0, (1, 1)) }) == nil)
  }

  @Test(
    "of a network's filters: the strongest images that show the part, the better part, the mean over filters")
  func ofFilters() throws {
    let planted = try LocationInstabilityTests.planted(
      GoldenFiles.read("paper_location_instability_top5"))
    let (records, metrics) = try planted.measure()
    var best: [Double] = []
    for filter in 0..<planted.filterCount {
      let category = try #require(records.categories[filter])
      var ofParts: [Double] = []
      for part in Set(planted.parts.flatMap { $0.map(\.part) }).sorted() {
        var pairs: [(peak: PartCorrelation.Point, landmark: PartCorrelation.Point)] = []
        for image in records.order(filter, category: category) {
          let shown = planted.parts[image].filter { $0.part == part }
          guard shown.count == 1, pairs.count < planted.options.instability.top else { continue }
          let peak = records.peakPoint(filter, image)
          pairs.append(((peak.x, peak.y), (Double(shown[0].x), Double(shown[0].y))))
        }
        let expected = PartCorrelation().correlation(pairs)
        let found = metrics.filters[filter].partCorrelations?[part]
        #expect((found == nil) == (expected == nil))
        if let found, let expected {
          #expect(isClose(found, expected))
          ofParts.append(expected)
        }
      }
      if let largest = ofParts.max() { best.append(largest) }
    }
    #expect(best.count > 2 && metrics.measuredFilters["part_correlation"] == best.count)
    #expect(isClose(metrics.partCorrelation, best.reduce(0, +) / Double(best.count)))
    let controls = try #require(metrics.controls.partCorrelation)
    #expect(controls.centre == 0 && abs(controls.random) < 0.8)
    #expect(metrics.intervals.partCorrelation != nil)
  }
}
