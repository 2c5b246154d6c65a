import Datasets

/// Drawing on 8-bit images.
extension RGBImage {
  /// A pixel, 0...255 each.
  typealias Color = (red: UInt8, green: UInt8, blue: UInt8)

  subscript(row: Int, column: Int) -> Color {
    get {
      let at = (row * width + column) * 3
      return (pixels[at], pixels[at + 1], pixels[at + 2])
    }
    set {
      let at = (row * width + column) * 3
      (pixels[at], pixels[at + 1], pixels[at + 2]) = newValue
    }
  }

  /// Darkens everything outside a region and draws its edge.
  ///
  /// - Parameter region: [height, width] row by row.
  mutating func highlight(_ region: [Bool], edge: Color, dimming: Float = 0.55) {
    precondition(region.count == width * height, "highlight: \(region.count) for \(width) x \(height) pixels")
    for index in region.indices where !region[index] {
      for at in index * 3..<index * 3 + 3 { pixels[at] = UInt8(Float(pixels[at]) * dimming) }
    }
    for row in 0..<height {
      for column in 0..<width where region[row * width + column] {
        func isInside(_ r: Int, _ c: Int) -> Bool {
          r >= 0 && r < height && c >= 0 && c < width && region[r * width + c]
        }
        let isEdge =
          !isInside(row - 1, column) || !isInside(row + 1, column) || !isInside(row, column - 1)
          || !isInside(row, column + 1)
        if isEdge { self[row, column] = edge }
      }
    }
  }

  /// A circle line, `thickness` pixels wide; parts outside the image are left out.
  mutating func ring(x: Double, y: Double, radius: Double, thickness: Double = 2, _ color: Color) {
    let reach = radius + thickness
    let rows = max(0, Int(y - reach))..<max(0, min(height, Int(y + reach) + 1))
    for row in rows {
      for column in max(0, Int(x - reach))..<max(0, min(width, Int(x + reach) + 1)) {
        let (dx, dy) = (Double(column) + 0.5 - x, Double(row) + 0.5 - y)
        let distance = abs((dx * dx + dy * dy).squareRoot() - radius)
        if distance <= thickness / 2 { self[row, column] = color }
      }
    }
  }

  /// Lays colours over the image; `strength` in 0...1 per pixel, [height, width].
  mutating func overlay(_ values: [Float], strength: Float) {
    precondition(values.count == width * height, "overlay: \(values.count) for \(width) x \(height) pixels")
    for index in values.indices {
      let color = ColorMap.color(values[index])
      for (channel, value) in [color.red, color.green, color.blue].enumerated() {
        let at = index * 3 + channel
        pixels[at] = UInt8((Float(pixels[at]) * (1 - strength) + Float(value) * strength).rounded())
      }
    }
  }

  /// Pictures side by side, as high as the highest, with a gap in grey.
  static func row(_ images: [RGBImage], gap: Int = 2) -> RGBImage {
    let width = images.reduce(0) { $0 + $1.width } + gap * max(0, images.count - 1)
    var result = RGBImage(width: width, height: images.map(\.height).max() ?? 0)
    result.pixels = Array(repeating: 128, count: result.pixels.count)
    var left = 0
    for image in images {
      for row in 0..<image.height {
        let from = row * image.width * 3
        let to = (row * width + left) * 3
        let count = image.width * 3
        result.pixels.replaceSubrange(to..<to + count, with: image.pixels[from..<from + count])
      }
      left += image.width + gap
    }
    return result
  }

  /// A map in colours, each cell a square; the highest value is the brightest colour, 0 or less the darkest.
  ///
  /// - Parameter values: [height, width] row by row.
  static func map(_ values: [Float], height: Int, width: Int, cellSide: Int, highest: Float) -> RGBImage {
    var image = RGBImage(width: width * cellSide, height: height * cellSide)
    for row in 0..<image.height {
      for column in 0..<image.width {
        let value = values[row / cellSide * width + column / cellSide]
        image[row, column] = ColorMap.color(highest > 0 ? value / highest : 0)
      }
    }
    return image
  }
}
