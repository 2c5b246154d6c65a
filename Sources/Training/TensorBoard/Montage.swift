import Datasets

/// Square pictures of one size in rows and columns on a grey ground, one pixel apart.
struct Montage {
  /// Extent in pixels.
  let width: Int, height: Int
  private let side: Int
  private var pixels: [UInt8]

  /// A grid without pictures; `side` in pixels.
  init(columns: Int, rows: Int, side: Int) {
    precondition(columns > 0 && rows > 0 && side > 0, "Montage: \(columns) x \(rows) of side \(side)")
    self.side = side
    width = columns * (side + 1) + 1
    height = rows * (side + 1) + 1
    pixels = [UInt8](repeating: 128, count: width * height * 3)
  }

  /// Draws a picture of `extent` × `extent` values, enlarged or reduced to the nearest value.
  ///
  /// - Parameter value: column, row and channel (R, G, B) of the picture → 0...1; what is outside is clipped, what is
  ///   not a number is black.
  mutating func draw(
    column: Int, row: Int, extent: Int, _ value: (_ x: Int, _ y: Int, _ channel: Int) -> Float
  ) {
    for y in 0..<side {
      for x in 0..<side {
        let target = ((row * (side + 1) + 1 + y) * width + column * (side + 1) + 1 + x) * 3
        for channel in 0..<3 {
          let level = value(x * extent / side, y * extent / side, channel)
          pixels[target + channel] = level.isNaN ? 0 : UInt8(min(max(level, 0), 1) * 255 + 0.5)
        }
      }
    }
  }

  /// The bytes of a PNG file.
  func png() -> [UInt8] { PNGEncoder.encode(pixels, width: width, height: height, channels: 3) }
}
