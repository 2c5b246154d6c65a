/// Where something is, over the whole input: maps of few cells, enlarged bilinearly and added up.
public struct HeatMap: Sendable, Equatable {
  /// Side of the input, in pixels.
  public let side: Int
  /// [side, side], 0...1; all 0 if there is nothing.
  public let values: [Float]

  /// The distribution of all filters' parts over an image (the paper's figure 6): each filter's map, in units of the
  /// activation above which the filter counts as firing, added up.
  ///
  /// - Parameters:
  ///   - maps: after the mask, per filter [height, width].
  ///   - thresholds: per filter; one that is not positive leaves its filter out.
  public init(partsIn maps: [[Float]], thresholds: [Float], height: Int, width: Int, side: Int) {
    var sum = [Float](repeating: 0, count: height * width)
    for (map, threshold) in zip(maps, thresholds) where threshold > 0 {
      for index in sum.indices { sum[index] += max(map[index], 0) / threshold }
    }
    self.init(sum, height: height, width: width, side: side)
  }

  /// Where the evidence for a class is: what each cell of each filter contributed, positive and negative cancelling; what
  /// remains negative is left out.
  public init(evidence cells: [[Float]], height: Int, width: Int, side: Int) {
    var sum = [Float](repeating: 0, count: height * width)
    for map in cells { for index in sum.indices { sum[index] += map[index] } }
    self.init(sum, height: height, width: width, side: side)
  }

  /// One map [height, width], negative values left out, its highest value 1.
  init(_ map: [Float], height: Int, width: Int, side: Int) {
    self.side = side
    let enlarged = Self.enlarge(map.map { max($0, 0) }, height: height, width: width, side: side)
    let highest = enlarged.max() ?? 0
    values = highest > 0 && highest.isFinite ? enlarged.map { $0 / highest } : enlarged.map { _ in 0 }
  }

  /// Bilinear, cell centres at (i + ½)·side / cells, borders repeated.
  private static func enlarge(_ map: [Float], height: Int, width: Int, side: Int) -> [Float] {
    func weights(_ cells: Int) -> [(low: Int, high: Int, share: Float)] {
      (0..<side).map { pixel in
        let place = (Float(pixel) + 0.5) * Float(cells) / Float(side) - 0.5
        let low = Int(place.rounded(.down))
        return (min(max(low, 0), cells - 1), min(max(low + 1, 0), cells - 1), place - Float(low))
      }
    }
    let (rows, columns) = (weights(height), weights(width))
    var result = [Float](repeating: 0, count: side * side)
    for (y, row) in rows.enumerated() {
      for (x, column) in columns.enumerated() {
        let upper =
          map[row.low * width + column.low] * (1 - column.share) + map[row.low * width + column.high]
          * column.share
        let lower =
          map[row.high * width + column.low] * (1 - column.share) + map[row.high * width + column.high]
          * column.share
        result[y * side + x] = upper * (1 - row.share) + lower * row.share
      }
    }
    return result
  }
}
