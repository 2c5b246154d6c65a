import Glibc
import Tensors

/// What surrounds a synthetic creature, and the truth about its parts.
extension SyntheticParts {
  /// A sky and a ground in any two colours, with soft patches.
  func drawBackground(_ canvas: inout Canvas, _ random: inout RandomSource) {
    let size = Float(canvas.size)
    let sky = mutedColor(&random), ground = mutedColor(&random)
    let haze = sky.mixed(ground, 0.5)
    let horizon = random.uniform(0.35, 0.85), tilt = random.uniform(-0.12, 0.12),
      softness = random.uniform(0.02, 0.3)
    let waves = (0..<4).map { _ in
      (
        Point(random.uniform(-9, 9), random.uniform(-9, 9)), random.uniform(0, 2 * .pi),
        random.uniform(0.01, 0.035)
      )
    }
    canvas.paint { pixel in
      let p = pixel * (1 / size)
      let t = max(0, min(1, 0.5 + (p.y - horizon - tilt * (p.x - 0.5)) / softness))
      let base = sky.mixed(haze, p.y * 0.6).mixed(ground.mixed(haze, (1 - p.y) * 0.5), t)
      return base * waves.reduce(1) { $0 + $1.2 * sinf($1.0.dot(p) + $1.1) }
    }
  }

  /// Stones, leaves, sticks: the outlines that parts are made of, alone and scattered behind the creature.
  func drawClutter(_ canvas: inout Canvas, count: Int, _ light: Point, _ random: inout RandomSource) {
    let size = Float(canvas.size)
    for _ in 0..<count {
      let placement = Placement(
        origin: Point(random.uniform(0, size), random.uniform(0, size)),
        scale: size * random.uniform(0.02, 0.065),
        angle: random.uniform(0, 2 * .pi))
      let outline: Outline =
        switch random.index(below: 4) {
        case 0: .ellipse(center: Point(0, 0), radii: Point(1, random.uniform(0.3, 1)), angle: 0)
        case 1:
          .polygon([Point(-0.8, -0.6), Point(random.uniform(0.6, 1.4), 0), Point(-0.8, 0.6)], radius: 0.08)
        case 2:
          .stroke(
            [Point(-1.2, 0), Point(0, random.uniform(-0.5, 0.5)), Point(1.2, 0)], startRadius: 0.22,
            endRadius: random.uniform(0.08, 0.22))
        default:
          .polygon([Point(-0.7, -0.6), Point(0.6, -0.7), Point(0.8, 0.5), Point(-0.5, 0.7)], radius: 0.15)
        }
      let color = mutedColor(&random)
      canvas.draw(Figure(outline: outline, color: color, edge: 0.08), placement, light: light)
    }
  }

  /// The creature, upright within 17 degrees, looking left or right, wholly inside the picture.
  func drawCreature(
    _ kind: SyntheticKind, _ canvas: inout Canvas, _ light: Point, _ random: inout RandomSource
  ) {
    let size = Float(canvas.size)
    let creature = SyntheticCreature(
      kind, RandomSource(seed: random.next(), purpose: .synthesis, UInt64(kind.rawValue)))
    var placement = Placement(
      origin: Point(0, 0), scale: size * random.uniform(0.18, 0.26), angle: random.uniform(-0.3, 0.3),
      isMirrored: random.uniform() < 0.5)
    var low = Point(.infinity, .infinity), high = Point(-.infinity, -.infinity)
    for figure in creature.figures {
      let bounds = figure.outline.bounds
      let center = placement.toPixels(bounds.center), reach = bounds.radius * placement.scale
      low = Point(min(low.x, center.x - reach), min(low.y, center.y - reach))
      high = Point(max(high.x, center.x + reach), max(high.y, center.y + reach))
    }
    // Large ones that do not fit are centred: what sticks out is the slack of the bounding circles.
    func offset(_ low: Float, _ high: Float, _ u: Float) -> Float {
      let slack = size - (high - low)
      return slack > 0 ? u * slack - low : slack / 2 - low
    }
    placement.origin = Point(
      offset(low.x, high.x, random.uniform()), offset(low.y, high.y, random.uniform()))
    for figure in creature.figures { canvas.draw(figure, placement, light: light) }
  }

  /// A few blades in front.
  func drawGrass(_ canvas: inout Canvas, _ random: inout RandomSource) {
    let size = Float(canvas.size)
    let color = mutedColor(&random)
    for _ in 0..<random.index(below: 9) {
      let x = random.uniform(0, size), height = random.uniform(0.05, 0.16), lean = random.uniform(-0.06, 0.06)
      let blade = Outline.stroke(
        [Point(0, 0.05), Point(lean * 0.3, -height * 0.6), Point(lean, -height)], startRadius: 0.009,
        endRadius: 0.003)
      let figure = Figure(outline: blade, color: color * random.uniform(0.7, 1.1))
      canvas.draw(figure, Placement(origin: Point(x, size), scale: size), light: Point(0, -1))
    }
  }

  /// Light from one side, exposure and sensor noise.
  func expose(_ canvas: inout Canvas, _ light: Point, _ random: inout RandomSource) {
    let size = Float(canvas.size)
    let gain = random.uniform(0.8, 1.1), fall = random.uniform(0, 0.25), noise = random.uniform(0.01, 0.045)
    canvas.adjust { value, pixel in
      let p = pixel * (1 / size) - Point(0.5, 0.5)
      // For every channel the sum of two uniform numbers of 16 bits.
      let bits = random.next(), more = random.next()
      func grain(_ shift: UInt64) -> Float {
        (Float((bits >> shift) & 0xFFFF) + Float((more >> shift) & 0xFFFF)) / 65535 - 1
      }
      let shade = gain * (1 + fall * p.dot(light))
      return Color(
        value.r * shade + noise * grain(0), value.g * shade + noise * grain(16),
        value.b * shade + noise * grain(32))
    }
  }

  /// Parts with at least six visible pixels, in the order of `SyntheticPart`.
  func truth(_ canvas: Canvas) -> (parts: [PartAnnotation], masks: [[UInt8]]) {
    var annotations: [PartAnnotation] = []
    var masks: [[UInt8]] = []
    let size = canvas.size
    for part in SyntheticPart.allCases {
      var count = 0, sumX = 0, sumY = 0
      var x0 = size, y0 = size, x1 = -1, y1 = -1
      var mask = [UInt8](repeating: 0, count: size * size)
      for y in 0..<size {
        for x in 0..<size where canvas.parts[y * size + x] == part.rawValue {
          mask[y * size + x] = 255
          count += 1
          sumX += x
          sumY += y
          x0 = min(x0, x)
          x1 = max(x1, x)
          y0 = min(y0, y)
          y1 = max(y1, y)
        }
      }
      guard count >= 6 else { continue }
      annotations.append(
        PartAnnotation(
          part: part.name, x: Float(sumX) / Float(count) + 0.5, y: Float(sumY) / Float(count) + 0.5,
          box: .init(x0: Float(x0), y0: Float(y0), x1: Float(x1 + 1), y1: Float(y1 + 1))))
      masks.append(mask)
    }
    return (annotations, masks)
  }

  /// Any hue, but darker and greyer than a creature: what is alive stands out from what is not.
  private func mutedColor(_ random: inout RandomSource) -> Color {
    let hue = random.uniform(), saturation = random.uniform(0.05, 0.45)
    return Color(hue: hue, saturation: saturation, value: random.uniform(0.2, 0.55))
  }
}
