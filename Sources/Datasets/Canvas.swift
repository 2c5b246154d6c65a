import Glibc

/// A point or vector; x to the right, y downwards.
struct Point {
  var x: Float, y: Float

  init(_ x: Float, _ y: Float) {
    self.x = x
    self.y = y
  }

  static func + (a: Point, b: Point) -> Point { Point(a.x + b.x, a.y + b.y) }
  static func - (a: Point, b: Point) -> Point { Point(a.x - b.x, a.y - b.y) }
  static func * (a: Point, s: Float) -> Point { Point(a.x * s, a.y * s) }
  var length: Float { (x * x + y * y).squareRoot() }
  func dot(_ other: Point) -> Float { x * other.x + y * other.y }
}

/// Red, green and blue in 0...1, sRGB encoded.
struct Color {
  var r: Float, g: Float, b: Float

  init(_ r: Float, _ g: Float, _ b: Float) {
    self.r = r
    self.g = g
    self.b = b
  }

  /// Hue, saturation and value, each in 0...1; the hue is periodic.
  init(hue: Float, saturation: Float, value: Float) {
    func channel(_ offset: Float) -> Float {
      let k = (offset + hue * 6).truncatingRemainder(dividingBy: 6)
      return value * (1 - saturation * max(0, min(k, 4 - k, 1)))
    }
    self.init(channel(5), channel(3), channel(1))
  }

  static func * (a: Color, s: Float) -> Color { Color(a.r * s, a.g * s, a.b * s) }
  func mixed(_ other: Color, _ t: Float) -> Color {
    Color(r + (other.r - r) * t, g + (other.g - g) * t, b + (other.b - b) * t)
  }
}

/// An outline given by its signed distance: negative inside.
enum Outline {
  /// Half axes `radii`, turned by `angle` (radians).
  case ellipse(center: Point, radii: Point, angle: Float)
  /// Straight edges, corners rounded by `radius`, which also widens it.
  case polygon([Point], radius: Float)
  /// A line through points whose half width goes from `startRadius` to `endRadius`.
  case stroke([Point], startRadius: Float, endRadius: Float)

  /// Signed distance of `p`; for ellipses to first order, which is exact at the outline.
  func distance(_ p: Point) -> Float {
    switch self {
    case .ellipse(let center, let radii, let angle):
      let d = p - center, c = cosf(angle), s = sinf(angle)
      let q = Point((d.x * c + d.y * s) / radii.x, (d.y * c - d.x * s) / radii.y)
      let gradient = Point(q.x / radii.x, q.y / radii.y).length
      let k = q.length
      return gradient == 0 ? -min(radii.x, radii.y) : k * (k - 1) / gradient
    case .polygon(let corners, let radius):
      var best = Float.infinity
      var isInside = false
      var previous = corners[corners.count - 1]
      for corner in corners {
        best = min(best, Self.distanceToSegment(p, previous, corner).distance)
        if (corner.y > p.y) != (previous.y > p.y),
          p.x < (previous.x - corner.x) * (p.y - corner.y) / (previous.y - corner.y) + corner.x
        {
          isInside.toggle()
        }
        previous = corner
      }
      return (isInside ? -best : best) - radius
    case .stroke(let points, let startRadius, let endRadius):
      var best = Float.infinity
      let segments = Float(points.count - 1)
      for i in 1..<points.count {
        let (distance, t) = Self.distanceToSegment(p, points[i - 1], points[i])
        best = min(best, distance - startRadius - (endRadius - startRadius) * (Float(i - 1) + t) / segments)
      }
      return best
    }
  }

  /// A circle that holds it.
  var bounds: (center: Point, radius: Float) {
    switch self {
    case .ellipse(let center, let radii, _): return (center, max(radii.x, radii.y))
    case .polygon(let points, let radius): return Self.bounds(points, radius)
    case .stroke(let points, let startRadius, let endRadius):
      return Self.bounds(points, max(startRadius, endRadius))
    }
  }

  private static func bounds(_ points: [Point], _ margin: Float) -> (center: Point, radius: Float) {
    let sum = points.reduce(Point(0, 0), +)
    let center = sum * (1 / Float(points.count))
    return (center, points.map { ($0 - center).length }.max()! + margin)
  }

  private static func distanceToSegment(_ p: Point, _ a: Point, _ b: Point) -> (distance: Float, t: Float) {
    let ab = b - a, ap = p - a
    let squared = ab.dot(ab)
    let t = squared == 0 ? 0 : max(0, min(1, ap.dot(ab) / squared))
    return ((ap - ab * t).length, t)
  }
}

/// Something to draw.
struct Figure {
  var outline: Outline
  var color: Color
  /// Which part it belongs to; 0 is none.
  var part: UInt8 = 0
  /// Half width of the dark edge line, in the figure's units.
  var edge: Float = 0
  /// Spots or stripes: strength and period in the figure's units.
  var pattern: Pattern = .plain
  var opacity: Float = 1

  enum Pattern {
    case plain
    case stripes(Color, period: Float)
    case spots(Color, period: Float)
  }
}

/// From a figure's units to pixels: mirror, turn, enlarge, move.
struct Placement {
  var origin: Point
  var scale: Float
  var angle: Float = 0
  var isMirrored = false

  func toPixels(_ p: Point) -> Point {
    let c = cosf(angle), s = sinf(angle), x = isMirrored ? -p.x : p.x
    return origin + Point(x * c - p.y * s, x * s + p.y * c) * scale
  }
}

/// A picture in the making: colours, and which part each pixel shows.
struct Canvas {
  let size: Int
  /// [size, size, 3], 0...1.
  private(set) var values: [Float]
  /// [size, size]: part number of the topmost figure that covers more than half of the pixel.
  private(set) var parts: [UInt8]

  init(size: Int) {
    self.size = size
    values = [Float](repeating: 0, count: size * size * 3)
    parts = [UInt8](repeating: 0, count: size * size)
  }

  /// Sets every pixel from its centre.
  mutating func paint(_ color: (Point) -> Color) {
    for y in 0..<size {
      for x in 0..<size { set(y * size + x, color(Point(Float(x) + 0.5, Float(y) + 0.5))) }
    }
  }

  /// Replaces every pixel's colour by a function of it and of the pixel's centre.
  mutating func adjust(_ change: (Color, Point) -> Color) {
    for y in 0..<size {
      for x in 0..<size {
        let i = 3 * (y * size + x)
        set(
          y * size + x,
          change(Color(values[i], values[i + 1], values[i + 2]), Point(Float(x) + 0.5, Float(y) + 0.5)))
      }
    }
  }

  /// Draws with edges smoothed over one pixel; `light` is the direction light comes from.
  mutating func draw(_ figure: Figure, _ placement: Placement, light: Point = Point(0, -1)) {
    let bounds = figure.outline.bounds
    let center = placement.toPixels(bounds.center),
      reach = (bounds.radius + figure.edge) * placement.scale + 1
    let x0 = max(0, Int(center.x - reach)), x1 = min(size - 1, Int(center.x + reach))
    let y0 = max(0, Int(center.y - reach)), y1 = min(size - 1, Int(center.y + reach))
    guard x0 <= x1, y0 <= y1 else { return }
    let c = cosf(placement.angle) / placement.scale, s = sinf(placement.angle) / placement.scale
    for y in y0...y1 {
      for x in x0...x1 {
        let pixel = Point(Float(x) + 0.5, Float(y) + 0.5)
        let d = pixel - placement.origin
        let turned = Point(d.x * c + d.y * s, d.y * c - d.x * s)
        let local = Point(placement.isMirrored ? -turned.x : turned.x, turned.y)
        let distance = figure.outline.distance(local)
        let coverage = max(0, min(1, 0.5 - (distance - figure.edge) * placement.scale))
        guard coverage > 0 else { continue }
        let shade = 1 + 0.22 * (pixel - center).dot(light) / max(reach, 1)
        var color = figure.textured(local) * shade
        if figure.edge > 0 {
          let line = max(0, min(1, 0.5 + (distance + figure.edge) * placement.scale))
          color = color.mixed(color * 0.35, line)
        }
        let i = y * size + x
        let below = Color(values[3 * i], values[3 * i + 1], values[3 * i + 2])
        set(i, below.mixed(color, coverage * figure.opacity))
        if coverage > 0.5 { parts[i] = figure.part }
      }
    }
  }

  /// The picture as 8-bit values, rounded.
  func image() -> RGBImage {
    var image = RGBImage(width: size, height: size)
    for i in values.indices { image.pixels[i] = UInt8(max(0, min(255, (values[i] * 255).rounded()))) }
    return image
  }

  private mutating func set(_ pixel: Int, _ color: Color) {
    values[3 * pixel] = color.r
    values[3 * pixel + 1] = color.g
    values[3 * pixel + 2] = color.b
  }
}

extension Figure {
  /// The colour at a point of the figure's plane, pattern included.
  fileprivate func textured(_ p: Point) -> Color {
    switch pattern {
    case .plain: return color
    case .stripes(let other, let period):
      return color.mixed(other, max(0, min(1, 0.5 + 2.5 * sinf(2 * .pi * p.x / period))))
    case .spots(let other, let period):
      // Rows are shifted against each other by half a period.
      let row = (p.y / period).rounded()
      let shift: Float = Int(row) % 2 == 0 ? 0 : 0.5
      let column = (p.x / period - shift).rounded() + shift
      let distance = (p - Point(column * period, row * period)).length / period
      return color.mixed(other, max(0, min(1, (0.3 - distance) * 12)))
    }
  }
}
