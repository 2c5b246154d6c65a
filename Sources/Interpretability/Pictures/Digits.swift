import Datasets

/// Numbers on pictures: 3×5 dots, so that a list can be matched with what is drawn.
extension RGBImage {
  private static let digits: [[UInt8]] = [
    [7, 5, 5, 5, 7], [2, 6, 2, 2, 7], [7, 1, 7, 4, 7], [7, 1, 3, 1, 7], [5, 5, 7, 1, 1],
    [7, 4, 7, 1, 7], [7, 4, 7, 5, 7], [7, 1, 2, 2, 2], [7, 5, 7, 5, 7], [7, 5, 7, 1, 7],
  ]

  /// Draws a number that is not negative on a dark ground, its top-left corner moved into the image where it would stick out.
  mutating func number(_ value: Int, x: Int, y: Int, dotSide: Int, _ color: Color) {
    let glyphs = String(value).utf8.map { Self.digits[Int($0) - 48] }
    let (columns, rows) = (4 * glyphs.count + 1, 7)
    let left = min(max(0, x), max(0, width - columns * dotSide))
    let top = min(max(0, y), max(0, height - rows * dotSide))
    for row in 0..<min(rows * dotSide, height - top) {
      for column in 0..<min(columns * dotSide, width - left) {
        let (dotRow, dotColumn) = (row / dotSide - 1, column / dotSide - 1)
        let isLit =
          0..<5 ~= dotRow && dotColumn >= 0 && dotColumn % 4 < 3
          && glyphs[dotColumn / 4][dotRow] >> UInt8(2 - dotColumn % 4) & 1 == 1
        self[top + row, left + column] = isLit ? color : (20, 20, 20)
      }
    }
  }
}
