import Tensors

/// Location instability of all filters of a layer, with what it would be without any knowledge of parts.
struct LocationMeasurement {
  /// D_{f,k} by filter and part; nil where it is undefined or the part is not one of the filter's category.
  private(set) var deviations: [[Double?]]
  /// D_f.
  private(set) var filters: [Double?]
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
    random = []
    centre = []
    func distance(_ image: Int, _ part: Int, _ x: Double, _ y: Double) -> Double? {
      landmarks[image][part].map {
        (($0.x - x) * ($0.x - x) + ($0.y - y) * ($0.y - y)).squareRoot() / diagonal
      }
    }
    for filter in 0..<records.layer.filterCount {
      var own = [Double?](repeating: nil, count: parts.names.count)
      var result: Double?
      if let category = records.categories[filter] {
        let order = records.order(filter, category: category)
        for part in self.parts[category] {
          own[part] = instability.deviation(order: order) { image in
            // After the ReLU a silent map has no peak.
            if records.options.peakFeature != .preactivation, records.peakValue(filter, image) <= 0 {
              return nil
            }
            let peak = records.peakPoint(filter, image)
            return distance(image, part, peak.x, peak.y)
          }
        }
        result = instability.mean(overParts: self.parts[category].map { own[$0] })
      }
      deviations.append(own)
      filters.append(result)
    }

    let layer = records.layer
    let middle = Double(parts.frame.side) / 2
    for category in 0..<records.categoryCount {
      var sums = (random: 0.0, centre: 0.0)
      let own = images.filter { records.labels[$0] == category }
      let isMeasurable = !self.parts[category].isEmpty
      for draw in 0..<(isMeasurable ? Self.controlFilters : 0) {
        var source = RandomSource(seed: seed, purpose: .evaluation, UInt64(category), UInt64(draw))
        // Random scores, so a random choice of images where there are more than `top`.
        let order = source.permutation(own.count).map { own[$0] }
        let cells = images.map { _ in source.index(below: layer.cells) }
        sums.random +=
          instability.mean(
            overParts: self.parts[category].map { part in
              instability.deviation(order: order) { image in
                let peak = layer.field.centre(
                  row: cells[image] / layer.width, column: cells[image] % layer.width)
                return distance(image, part, peak.x, peak.y)
              }
            }) ?? 0
        sums.centre +=
          instability.mean(
            overParts: self.parts[category].map { part in
              instability.deviation(order: order) { distance($0, part, middle, middle) }
            }) ?? 0
      }
      random.append(isMeasurable ? sums.random / Double(Self.controlFilters) : nil)
      centre.append(isMeasurable ? sums.centre / Double(Self.controlFilters) : nil)
    }
  }
}
