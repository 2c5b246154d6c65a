import Datasets

/// The mean of what a filter looks at: windows around its peaks on its strongest images, averaged pixel by pixel. A filter
/// that has found one part gives a picture of it, others grey.
public struct AveragePart: Sendable {
  /// Side of the window, in pixels of the input.
  public let side: Int
  /// Images so far.
  public private(set) var count = 0
  private var sums: [Float]
  private var counts: [Float]

  /// An average of no image.
  public init(side: Int) {
    precondition(side > 0, "AveragePart: a window of \(side) pixels")
    self.side = side
    sums = [Float](repeating: 0, count: side * side * 3)
    counts = [Float](repeating: 0, count: side * side)
  }

  /// Adds the window around a place of an input; what lies outside the input does not count.
  public mutating func add(_ image: RGBImage, x: Double, y: Double) {
    let (left, top) = (Int((x - Double(side) / 2).rounded()), Int((y - Double(side) / 2).rounded()))
    for row in max(0, -top)..<max(max(0, -top), min(side, image.height - top)) {
      for column in max(0, -left)..<max(max(0, -left), min(side, image.width - left)) {
        let from = ((row + top) * image.width + column + left) * 3
        let to = row * side + column
        counts[to] += 1
        for channel in 0..<3 { sums[to * 3 + channel] += Float(image.pixels[from + channel]) }
      }
    }
    count += 1
  }

  /// The average; grey where no window reached.
  public var image: RGBImage {
    var result = RGBImage(width: side, height: side)
    for index in counts.indices {
      for channel in 0..<3 {
        let at = index * 3 + channel
        result.pixels[at] = counts[index] > 0 ? UInt8((sums[at] / counts[index]).rounded()) : 128
      }
    }
    return result
  }
}
