import Datasets
import Foundation
import TestSupport
import Testing

@testable import Interpretability

@Suite("PartInterpretability") struct PartInterpretabilityTests {
  private func planted(_ golden: GoldenCase) throws -> PlantedMaps {
    let images = Int(try golden.number("params", "I")), parts = Int(try golden.number("params", "K"))
    let side = Int(try golden.number("params", "n")), pixels = Int(try golden.number("params", "H"))
    var planted = PlantedMaps(
      try golden.tensor("input", "maps").values, images: images,
      filters: Int(try golden.number("params", "F")),
      side: side, stride: pixels / side)
    let masks = try golden.tensor("input", "part_masks").integers
    let visible = try golden.tensor("input", "visible").integers
    for image in 0..<images {
      for part in 0..<parts where visible[image * parts + part] == 1 {
        let start = (image * parts + part) * pixels * pixels
        let mask = masks[start..<start + pixels * pixels].map { UInt8($0 * 255) }
        let path = "masks/\(image)-\(part).png"
        planted.masks[path] = PNGEncoder.encode(mask, width: pixels, height: pixels, channels: 1)
        planted.parts[image].append(PartAnnotation(part: "p\(part)", x: 1, y: 1, mask: path))
      }
    }
    planted.options.measuresEntropies = false
    return planted
  }

  @Test("golden, through a network", arguments: ["nearest_p0_02", "bilinear_p0_02", "nearest_p0_005"])
  func golden(variant: String) throws {
    let golden = try GoldenFiles.read("paper_part_interpretability")
    var planted = try planted(golden)
    planted.options.records.tailProbability = variant.hasSuffix("02") ? 0.02 : 0.005
    planted.options.interpretability = PartInterpretability(
      upscaling: variant.hasPrefix("bilinear") ? .bilinear : .nearest)
    let (records, metrics) = try planted.measure()
    let thresholds = try golden.tensor("expected", variant, "T").floats
    let rates = try golden.tensor("expected", variant, "P").values
    let best = try golden.tensor("expected", variant, "P_filter").values
    let bestPart = try golden.tensor("expected", variant, "best_part").integers
    for filter in 0..<planted.filterCount {
      #expect(records.threshold(filter) == thresholds[filter])
      let row = metrics.filters[filter]
      for part in 0..<2 { #expect(isClose(row.partRates?["p\(part)"], rates[filter * 2 + part])) }
      #expect(isClose(row.partInterpretability, best[filter]))
      #expect(row.part == (best[filter] > 0 ? "p\(bestPart[filter])" : nil))
    }
    #expect(isClose(metrics.partInterpretability, try golden.number("expected", variant, "mean")))
    #expect(metrics.measuredFilters["part_interpretability"] == planted.filterCount)
    #expect(metrics.categories.map(\.name) == ["object"])
    let covered = Set(metrics.filters.filter { $0.partInterpretability ?? 0 >= 0.5 }.compactMap(\.part))
    #expect(metrics.categories[0].coveredParts == covered.sorted())
  }

  @Test("golden overlaps of single images", arguments: ["nearest_p0_02", "bilinear_p0_02", "nearest_p0_005"])
  func overlaps(variant: String) throws {
    let golden = try GoldenFiles.read("paper_part_interpretability")
    let maps = try golden.tensor("input", "maps").values,
      masks = try golden.tensor("input", "part_masks").integers
    let thresholds = try golden.tensor("expected", variant, "T").values
    let expected = try golden.tensor("expected", variant, "iou").values
    let visible = try golden.tensor("input", "visible").integers
    let enlargement = BilinearEnlargement(height: 7, width: 7, side: 28)
    for image in 0..<30 {
      for part in 0..<2 where visible[image * 2 + part] == 1 {
        let start = (image * 2 + part) * 784
        let region = masks[start..<start + 784].map { $0 == 1 }
        for filter in 0..<4 {
          let map = Array(maps[(image * 4 + filter) * 49..<(image * 4 + filter + 1) * 49])
          let ratio =
            variant.hasPrefix("bilinear")
            ? enlargement.ratio(region, above: thresholds[filter]) { map[$0] }
            : PartOverlap(region, side: 28, height: 7, width: 7).ratio(
              map.indices.filter { map[$0] > thresholds[filter] }.map { UInt16($0) })
          #expect(isClose(ratio, expected[(image * 4 + filter) * 2 + part]))
        }
      }
    }
  }

  @Test(
    "a box stands for a mask where there is none; the control of full maps is the part's share of the input")
  func boxes() throws {
    // One filter that fires everywhere: every cell but one is valid.
    var planted = PlantedMaps(
      (0..<4).flatMap { image in (0..<16).map { Double(image * 16 + $0 + 1) } }, images: 4, filters: 1,
      side: 4)
    for image in 0..<4 {
      planted.parts[image] = [
        PartAnnotation(part: "left", x: 2, y: 4, box: .init(x0: -3, y0: 0, x1: 4, y1: 8)),
        PartAnnotation(part: "corner", x: 1, y: 1, box: .init(x0: 0, y0: 0, x1: 2, y1: 2)),
      ]
    }
    planted.options.records.tailProbability = 0.999
    let metrics = try planted.measure().1
    // Half of the input is associated at 0.2, a sixteenth is not.
    #expect(metrics.filters[0].partRates == ["corner": 0, "left": 1])
    #expect(metrics.filters[0].part == "left" && metrics.settings.usesBoxes)
    #expect(metrics.controls.partInterpretability == FilterMetrics.Controls(random: 1, centre: 1))
    // A strict threshold.
    planted.options.interpretability.overlapThreshold = 0.6
    #expect(try planted.measure().1.partInterpretability == 0)
  }
}
