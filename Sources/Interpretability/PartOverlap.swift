/// How far the region of a filter on an image and a part cover the same pixels of the input: intersection over union.
///
/// The valid cells of a map, those above the filter's threshold, are enlarged to the input: pixel row y belongs to
/// row ⌊y·H/side⌋ of the map.
struct PartOverlap {
  /// Pixels of the part in each cell.
  private let partPixels: [Int]
  private let cellPixels: [Int]
  private let partArea: Int

  /// - Parameter region: of the part, [side, side].
  init(_ region: [Bool], side: Int, height: Int, width: Int) {
    var partPixels = [Int](repeating: 0, count: height * width)
    var cellPixels = partPixels
    for y in 0..<side {
      for x in 0..<side {
        let cell = y * height / side * width + x * width / side
        cellPixels[cell] += 1
        if region[y * side + x] { partPixels[cell] += 1 }
      }
    }
    self.partPixels = partPixels
    self.cellPixels = cellPixels
    partArea = partPixels.reduce(0, +)
  }

  /// Intersection over union with these cells of the map; 0 where both are empty.
  func ratio(_ cells: some Sequence<UInt16>) -> Double {
    var (intersection, area) = (0, 0)
    for cell in cells {
      intersection += partPixels[Int(cell)]
      area += cellPixels[Int(cell)]
    }
    let union = partArea + area - intersection
    return union == 0 ? 0 : Double(intersection) / Double(union)
  }
}

/// Enlarges maps to the input by bilinear interpolation between the centres of their cells; beyond the outermost
/// centres values are constant.
struct BilinearEnlargement {
  private struct Axis {
    let lower: [Int]
    let upper: [Int]
    let weights: [Double]

    init(cells: Int, pixels: Int) {
      let places = (0..<pixels).map { pixel in
        min(max((Double(pixel) + 0.5) * Double(cells) / Double(pixels) - 0.5, 0), Double(cells - 1))
      }
      lower = places.map { Int($0) }
      upper = lower.map { min($0 + 1, cells - 1) }
      weights = zip(places, lower).map { $0 - Double($1) }
    }
  }

  private let rows: Axis
  private let columns: Axis
  private let width: Int
  let side: Int

  init(height: Int, width: Int, side: Int) {
    rows = Axis(cells: height, pixels: side)
    columns = Axis(cells: width, pixels: side)
    self.width = width
    self.side = side
  }

  /// Values of the enlarged map in row-major order, [side, side].
  ///
  /// - Parameter value: of a cell, by its row-major index.
  func forEachPixel(_ value: (_ cell: Int) -> Double, _ body: (_ pixel: Int, _ value: Double) -> Void) {
    for y in 0..<side {
      let (top, bottom, down) = (rows.lower[y] * width, rows.upper[y] * width, rows.weights[y])
      for x in 0..<side {
        let (left, right, across) = (columns.lower[x], columns.upper[x], columns.weights[x])
        let above = value(top + left) * (1 - across) + value(top + right) * across
        let below = value(bottom + left) * (1 - across) + value(bottom + right) * across
        body(y * side + x, above * (1 - down) + below * down)
      }
    }
  }

  /// Intersection over union of a part's region and the pixels where the map exceeds a threshold.
  func ratio(_ part: [Bool], above threshold: Double, _ value: (_ cell: Int) -> Double) -> Double {
    var (intersection, union) = (0, 0)
    forEachPixel(value) { pixel, enlarged in
      let isValid = enlarged > threshold
      if isValid && part[pixel] { intersection += 1 }
      if isValid || part[pixel] { union += 1 }
    }
    return union == 0 ? 0 : Double(intersection) / Double(union)
  }
}
