import Datasets
import Foundation
import TestSupport
import Testing

@testable import Interpretability

@Suite("LocationInstability") struct LocationInstabilityTests {
  /// The golden case as a network and a split.
  static func planted(_ golden: GoldenCase) throws -> PlantedMaps {
    let images = Int(try golden.number("params", "I")), filters = Int(try golden.number("params", "F"))
    let parts = Int(try golden.number("params", "K")), side = Int(try golden.number("params", "n"))
    let stride = Int(try golden.number("params", "rf_stride"))
    var planted = PlantedMaps(
      try golden.tensor("input", "maps").values, images: images, filters: filters, side: side, stride: stride)
    #expect(planted.inputSide == Int(try golden.number("params", "H")))
    let landmarks = try golden.tensor("input", "landmarks").values
    let visible = try golden.tensor("input", "visible").integers
    for image in 0..<images {
      for part in 0..<parts where visible[image * parts + part] == 1 {
        let at = (image * parts + part) * 2
        // Pixel centres from 1 → continuous.
        planted.parts[image].append(
          PartAnnotation(part: "p\(part)", x: Float(landmarks[at + 1] - 0.5), y: Float(landmarks[at] - 0.5)))
      }
    }
    planted.options.instability.top = Int(try golden.number("params", "top"))
    planted.options.measuresEntropies = false
    return planted
  }

  @Test(
    "golden: the paper's definition, through a network", arguments: ["top5", "top100", "undefined"],
    LocationInstability.Divisor.allCases)
  func golden(name: String, divisor: LocationInstability.Divisor) throws {
    let golden = try GoldenFiles.read("paper_location_instability_\(name)")
    var planted = try Self.planted(golden)
    planted.options.instability.divisor = divisor
    let (records, metrics) = try planted.measure()
    let peaks = try golden.tensor("expected", "peak").integers
    let scores = try golden.tensor("expected", "score").floats
    for image in 0..<records.imageCount {
      for filter in 0..<planted.filterCount {
        let at = image * planted.filterCount + filter
        let peak = records.peakCell(filter, image)
        #expect(peak.row == peaks[2 * at] && peak.column == peaks[2 * at + 1])
        #expect(records.peakValue(filter, image) == scores[at])
      }
    }
    let key = divisor.rawValue
    let expected = try golden.tensor("expected", key, "D"),
      valid = try golden.tensor("expected", key, "D_valid")
    for filter in 0..<expected.shape[0] {
      for part in 0..<expected.shape[1] {
        let at = filter * expected.shape[1] + part
        let value = metrics.filters[filter].partInstabilities?["p\(part)"]
        if valid.integers[at] == 1 {
          #expect(isClose(value, expected.values[at]))
        } else {
          #expect(value == nil)
        }
      }
    }
    if let instability = try? golden.number("expected", key, "instability") {
      #expect(isClose(metrics.locationInstability, instability))
      let filters = try golden.tensor("expected", key, "per_filter").values
      for (filter, value) in filters.enumerated() {
        #expect(isClose(metrics.filters[filter].locationInstability, value))
      }
    } else {
      // The rule of the released code drops a filter with an undefined part; a part that no filter can be measured on
      // is not looked at.
      #expect(LocationInstability().mean(overParts: [expected.values[0], nil]) == nil)
      #expect(isClose(metrics.filters[0].locationInstability, expected.values[0]))
    }
  }

  @Test("golden: the released code on given positions", arguments: ["direct_top100", "direct_nan"])
  func released(name: String) throws {
    let golden = try GoldenFiles.read("released_stability_\(name)")
    let filters = Int(try golden.number("params", "filters")),
      parts = Int(try golden.number("params", "parts"))
    let images = Int(try golden.number("params", "images"))
    let landmarks = try golden.tensor("input", "landmark_row_col").values
    let counts = try golden.tensor("input", "landmark_count").integers
    let positions = try golden.tensor("input", "position_row_col").values
    let scores = try golden.tensor("input", "score").values
    let expected = try golden.tensor("expected", "per_filter_std_pixels").values
    let valid = try golden.tensor("expected", "per_filter_valid").integers
    let instability = LocationInstability(top: Int(try golden.number("params", "top")))
    for filter in 0..<filters {
      let order = (0..<images).sorted {
        let (a, b) = (scores[$0 * filters + filter], scores[$1 * filters + filter])
        return a != b ? a > b : $0 < $1
      }
      let result = instability.mean(
        overParts: (0..<parts).map { part in
          instability.deviation(order: order) { image in
            guard counts[image * parts + part] == 1 else { return nil }
            let (l, p) = ((image * parts + part) * 2, (image * filters + filter) * 2)
            return hypot(landmarks[l] - positions[p], landmarks[l + 1] - positions[p + 1])
          }
        })
      if valid[filter] == 1 { #expect(isClose(result, expected[filter])) } else { #expect(result == nil) }
    }
  }

  @Test("golden: the released code on feature maps before the ReLU, through a network")
  func releasedNetwork() throws {
    let golden = try GoldenFiles.read("released_stability_network")
    let filters = Int(try golden.number("params", "filters")),
      parts = Int(try golden.number("params", "parts"))
    let images = Int(try golden.number("params", "images"))
    var planted = PlantedMaps(
      try golden.tensor("input", "feature_maps").values, images: images, filters: filters,
      side: Int(try golden.number("params", "map_size")),
      stride: Int(try golden.number("params", "rf_stride")))
    let landmarks = try golden.tensor("input", "landmark_row_col").values
    let counts = try golden.tensor("input", "landmark_count").integers
    for image in 0..<images {
      for part in 0..<parts {
        let at = image * parts + part
        let annotation = PartAnnotation(
          part: "p\(part)", x: Float(landmarks[2 * at + 1] - 0.5), y: Float(landmarks[2 * at] - 0.5))
        planted.parts[image] += Array(repeating: annotation, count: counts[at])
      }
    }
    let (_, metrics) = try planted.measure()
    #expect(isClose(metrics.locationInstability, try golden.number("expected", "stability"), 1e-6))
    let expected = try golden.tensor("expected", "per_filter_std_pixels").values
    let diagonal = Double(planted.inputSide) * 2.0.squareRoot()
    for (filter, value) in expected.enumerated() {
      #expect(isClose(metrics.filters[filter].locationInstability, value / diagonal, 1e-6))
    }
  }

  @Test("controls: the deviation of landmarks around the middle, and around random cells")
  func controls() throws {
    var planted = try Self.planted(GoldenFiles.read("paper_location_instability_top100"))
    planted.options.instability.top = planted.imageCount
    let (_, metrics) = try planted.measure()
    let controls = try #require(metrics.controls.locationInstability)
    let middle = Double(planted.inputSide) / 2, diagonal = middle * 8.0.squareRoot()
    var (centre, random): ([Double], [Double]) = ([], [])
    for part in ["p0", "p1"] {
      let landmarks = planted.parts.compactMap { $0.first { $0.part == part } }
      let distances = landmarks.map { hypot(Double($0.x) - middle, Double($0.y) - middle) / diagonal }
      centre.append(deviation(distances))
      // Every cell alike: the expectation over cells of the variance over independent images.
      var all: [Double] = []
      for landmark in landmarks {
        for cell in 0..<planted.side * planted.side {
          let x = (Double(cell % planted.side) + 0.5) * Double(planted.stride)
          let y = (Double(cell / planted.side) + 0.5) * Double(planted.stride)
          all.append(hypot(Double(landmark.x) - x, Double(landmark.y) - y) / diagonal)
        }
      }
      random.append(deviation(all))
    }
    #expect(isClose(controls.centre, centre.reduce(0, +) / 2))
    // Drawn with 100 random filters.
    #expect(isClose(controls.random, random.reduce(0, +) / 2, 0.05))
  }

  private func deviation(_ values: [Double]) -> Double {
    let mean = values.reduce(0, +) / Double(values.count)
    return (values.reduce(0) { $0 + pow($1 - mean, 2) } / Double(values.count - 1)).squareRoot()
  }
}
