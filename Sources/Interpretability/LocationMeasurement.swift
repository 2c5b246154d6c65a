import Tensors

/// Location instability and part correlation of all filters of a layer, with what they would be without any knowledge of
/// parts.
struct LocationMeasurement {
  /// D_{f,k} by filter and part; nil where it is undefined or the part is not one of the filter's category.
  private(set) var deviations: [[Double?]]
  /// D_f.
  private(set) var filters: [Double?]
  /// r_{f,k} by filter and part, as `deviations`; r_f of a filter of each category with peaks at random cells.
  private(set) var correlations: [[Double?]]
  private(set) var randomCorrelation: [Double?]
  /// D_f of peaks at a random cell and in the middle, for a filter of each category; nil where nothing can be measured.
  private(set) var random: [Double?]
  private(set) var centre: [Double?]
  /// Parts that are measured for each category: those with at least two usable images.
  let parts: [[Int]]

  /// Random filters that are averaged for the controls.
  static let controlFilters = 100

  init(_ records: FilterRecords, _ parts: SplitParts, _ instability: LocationInstability, seed: UInt64) {
    let images = 0..<records.imageCount
    let landmarks = images.map { image in parts.names.indices.map { parts.landmark($0, on: image) } }
    self.parts = (0..<records.categoryCount).map { category in
      parts.names.indices.filter { part in
        images.count { records.labels[$0] == category && landmarks[$0][part] != nil } >= 2
      }
    }
    let diagonal = parts.frame.diagonal
    deviations = []
    filters = []
    correlations = []
    randomCorrelation = []
    random = []
    centre = []
    typealias Pair = (peak: PartCorrelation.Point, landmark: PartCorrelation.Point)
    // Of the strongest images that show the part and have a peak.
    func pairs(
      _ order: some Sequence<Int>, _ part: Int, peak: (_ image: Int) -> PartCorrelation.Point?
    ) -> [Pair] {
      var found: [Pair] = []
      for image in order where found.count < instability.top {
        if let landmark = landmarks[image][part], let peak = peak(image) {
          found.append((peak, (landmark.x, landmark.y)))
        }
      }
      return found
    }
    func deviation(_ pairs: [Pair]) -> Double? {
      instability.deviation(
        pairs.map { peak, landmark in
          let (x, y) = (landmark.x - peak.x, landmark.y - peak.y)
          return (x * x + y * y).squareRoot() / diagonal
        })
    }
    for filter in 0..<records.layer.filterCount {
      var own = [Double?](repeating: nil, count: parts.names.count)
      var ownCorrelations = own
      var result: Double?
      if let category = records.categories[filter] {
        let order = records.order(filter, category: category)
        for part in self.parts[category] {
          let found = pairs(order, part) { image in
            // After the ReLU a silent map has no peak.
            if records.options.peakFeature != .preactivation, records.peakValue(filter, image) <= 0 {
              return nil
            }
            let peak = records.peakPoint(filter, image)
            return (peak.x, peak.y)
          }
          own[part] = deviation(found)
          ownCorrelations[part] = PartCorrelation().correlation(found)
        }
        result = instability.mean(overParts: self.parts[category].map { own[$0] })
      }
      deviations.append(own)
      correlations.append(ownCorrelations)
      filters.append(result)
    }

    let layer = records.layer
    let middle = Double(parts.frame.side) / 2
    for category in 0..<records.categoryCount {
      var sums = (random: 0.0, centre: 0.0, correlation: 0.0)
      let own = images.filter { records.labels[$0] == category }
      let isMeasurable = !self.parts[category].isEmpty
      for draw in 0..<(isMeasurable ? Self.controlFilters : 0) {
        var source = RandomSource(seed: seed, purpose: .evaluation, UInt64(category), UInt64(draw))
        // Random scores, so a random choice of images where there are more than `top`.
        let order = source.permutation(own.count).map { own[$0] }
        let cells = images.map { _ in source.index(below: layer.cells) }
        let atRandom = self.parts[category].map { part in
          pairs(order, part) { image in
            let peak = layer.field.centre(row: cells[image] / layer.width, column: cells[image] % layer.width)
            return (peak.x, peak.y)
          }
        }
        sums.random += instability.mean(overParts: atRandom.map(deviation)) ?? 0
        sums.correlation += atRandom.compactMap { PartCorrelation().correlation($0) }.max() ?? 0
        let inCentre = self.parts[category].map { part in pairs(order, part) { _ in (middle, middle) } }
        sums.centre += instability.mean(overParts: inCentre.map(deviation)) ?? 0
      }
      random.append(isMeasurable ? sums.random / Double(Self.controlFilters) : nil)
      randomCorrelation.append(isMeasurable ? sums.correlation / Double(Self.controlFilters) : nil)
      centre.append(isMeasurable ? sums.centre / Double(Self.controlFilters) : nil)
    }
  }
}
