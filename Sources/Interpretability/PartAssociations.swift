import Datasets
import Networks
import Tensors

/// Counts on which images filters are associated with parts, as this rank's images come by; what ranks exchange are
/// whole numbers.
///
/// Beside each filter stand two controls with as many valid cells on every image: those nearest to a random cell, and
/// those nearest to the middle of the map.
final class PartAssociations {
  /// What was counted on all ranks.
  struct Measurement {
    /// P_{f,k} by filter and part, among the images of the filter's category.
    var rates: [[Double?]]
    /// P_f and its part.
    var best: [(part: Int, rate: Double)?]
    /// P_f of the controls.
    var random: [Double?]
    var centre: [Double?]
    /// Images of each category that show each part with its extent.
    var images: [[Int]]
  }

  private enum Kind: Int, CaseIterable { case filter, random, centre }

  private let records: FilterRecords
  private let parts: SplitParts
  private let definition: PartInterpretability
  private let seed: UInt64
  private let decoder = ImageDecoder()
  private let enlargement: BilinearEnlargement
  private var neighbourhoods: [Int: [UInt16]] = [:]
  // [kind][filter][part], then [category][part].
  private var hits: [Int]
  private var images: [Int]

  init(_ records: FilterRecords, _ parts: SplitParts, _ definition: PartInterpretability, seed: UInt64) {
    self.records = records
    self.parts = parts
    self.definition = definition
    self.seed = seed
    let layer = records.layer
    enlargement = BilinearEnlargement(height: layer.height, width: layer.width, side: parts.frame.side)
    hits = [Int](repeating: 0, count: Kind.allCases.count * layer.filterCount * parts.names.count)
    images = [Int](repeating: 0, count: records.categoryCount * parts.names.count)
  }

  private func index(_ kind: Kind, _ filter: Int, _ part: Int) -> Int {
    (kind.rawValue * records.layer.filterCount + filter) * parts.names.count + part
  }

  /// Compares all filters of an image's category with the parts on it.
  ///
  /// - Parameter activation: of a filter in a cell; nil: the recorded valid cells are enlarged to their nearest pixels.
  func add(_ image: Int, activation: ((_ filter: Int, _ cell: Int) -> Float)? = nil) throws {
    let layer = records.layer
    let category = records.labels[image]
    var regions: [(part: Int, pixels: [Bool], overlap: PartOverlap)] = []
    for part in parts.names.indices {
      guard let region = try parts.region(part, on: image, decoder) else { continue }
      images[category * parts.names.count + part] += 1
      regions.append(
        (
          part, region,
          PartOverlap(region, side: parts.frame.side, height: layer.height, width: layer.width)
        ))
    }
    guard !regions.isEmpty else { return }
    for filter in 0..<layer.filterCount where records.categories[filter] == category {
      let valid = records.validCells(filter, image)
      guard !valid.isEmpty else { continue }
      var source = RandomSource(
        seed: seed, purpose: .evaluation, UInt64(1) << 32 | UInt64(filter), UInt64(image))
      let random = neighbours(of: source.index(below: layer.cells)).prefix(valid.count)
      let centre = neighbours(of: nil).prefix(valid.count)
      for region in regions {
        let ratio =
          if let activation {
            enlargement.ratio(region.pixels, above: Double(records.threshold(filter))) { cell in
              Double(activation(filter, cell))
            }
          } else {
            region.overlap.ratio(valid)
          }
        for (kind, ratio) in [
          (Kind.filter, ratio), (.random, region.overlap.ratio(random)),
          (.centre, region.overlap.ratio(centre)),
        ] where ratio > definition.overlapThreshold {
          hits[index(kind, filter, region.part)] += 1
        }
      }
    }
  }

  /// All cells, the nearest to a cell (nil: to the middle of the map) first.
  private func neighbours(of cell: Int?) -> [UInt16] {
    let key = cell ?? -1
    if let known = neighbourhoods[key] { return known }
    let (height, width) = (records.layer.height, records.layer.width)
    let row = cell.map { Double($0 / width) } ?? Double(height - 1) / 2
    let column = cell.map { Double($0 % width) } ?? Double(width - 1) / 2
    func distance(_ cell: Int) -> Double {
      let (down, right) = (Double(cell / width) - row, Double(cell % width) - column)
      return down * down + right * right
    }
    let sorted = (0..<height * width).map { (distance($0), UInt16($0)) }.sorted { $0 < $1 }.map(\.1)
    neighbourhoods[key] = sorted
    return sorted
  }

  /// Adds up all ranks.
  func finish(_ ranks: RankGather) throws -> Measurement {
    let total = try ranks.sum(hits + images)
    let counts = Array(total[hits.count...])
    let partCount = parts.names.count
    func rates(_ kind: Kind, _ filter: Int) -> [Double?] {
      (0..<partCount).map { part in
        records.categories[filter].flatMap {
          definition.rate(
            associated: total[index(kind, filter, part)], images: counts[$0 * partCount + part])
        }
      }
    }
    let filters = 0..<records.layer.filterCount
    let own = filters.map { rates(.filter, $0) }
    return Measurement(
      rates: own, best: own.map(definition.best),
      random: filters.map { definition.best(rates(.random, $0))?.rate },
      centre: filters.map { definition.best(rates(.centre, $0))?.rate },
      images: (0..<records.categoryCount).map { Array(counts[$0 * partCount..<($0 + 1) * partCount]) })
  }
}
