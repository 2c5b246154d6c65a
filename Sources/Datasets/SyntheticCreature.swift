import Tensors

/// What the synthetic creatures are made of. The raw value is what the canvas remembers for each pixel.
enum SyntheticPart: UInt8, CaseIterable {
  case body = 1
  case head, leg, hindleg, tail, wing, fin, shell

  var name: String { "\(self)" }
}

/// The kinds of creature: each is told from the others by its parts alone.
enum SyntheticKind: Int, CaseIterable {
  case bird, cat, fish, rabbit, deer, bee, elephant, turtle

  var name: String { "\(self)" }
}

/// Builds one creature in its own units: it looks to the right, its body is centred on the origin and about 2 long.
///
/// Colours, patterns and proportions come from the same distributions for every kind.
struct SyntheticCreature {
  private(set) var figures: [Figure] = []
  private var random: RandomSource
  private let main: Color, second: Color
  private let pattern: Figure.Pattern
  private let bodyRadii: Point

  init(_ kind: SyntheticKind, _ random: RandomSource) {
    var random = random
    let hue = random.uniform()
    main = Color(hue: hue, saturation: random.uniform(0.3, 0.8), value: random.uniform(0.72, 1))
    second = Color(
      hue: hue + random.uniform(0.1, 0.9), saturation: random.uniform(0.2, 0.75),
      value: random.uniform(0.5, 0.98))
    let third = main.mixed(second, random.uniform(0.3, 0.9))
    pattern =
      switch random.index(below: 4) {
      case 0: .stripes(third, period: random.uniform(0.3, 0.55))
      case 1: .spots(third, period: random.uniform(0.25, 0.45))
      default: .plain
      }
    bodyRadii = Point(random.uniform(0.9, 1.08), random.uniform(0.52, 0.66))
    self.random = random
    switch kind {
    case .bird: addBird()
    case .cat: addCat()
    case .fish: addFish()
    case .rabbit: addRabbit()
    case .deer: addDeer()
    case .bee: addBee()
    case .elephant: addElephant()
    case .turtle: addTurtle()
    }
  }

  // MARK: - Kinds, from back to front

  private mutating func addBird() {
    let spread = vary(0.35, 0.2)
    polygon(
      .tail, second,
      [(-0.75, -0.1), (-1.75, -spread - 0.2), (-1.85, -0.1), (-1.75, spread - 0.15), (-0.75, 0.2)])
    for x: Float in [-0.12, 0.22] {
      let length = vary(0.62, 0.1)
      stroke(.leg, second, [(x, 0.45), (x, 0.45 + length), (x + 0.22, 0.5 + length)], 0.065)
    }
    addBody()
    let sweep = vary(0.3, 0.4)
    polygon(
      .wing, second, [(0.35, -0.2), (0.15, 0.25), (-0.45, 0.32 - sweep * 0.3), (-1.0, -sweep), (-0.4, -0.3)],
      0.08)
    polygon(.head, second, [(1.25, -0.72), (1.25 + vary(0.5, 0.25), -0.5), (1.22, -0.38)], 0.02)
    ellipse(.head, main, (0.95, -0.55), (0.43, 0.41))
    addEye(1.08, -0.65)
  }

  private mutating func addCat() {
    let curl = vary(1.2, 0.15)
    stroke(.tail, main, [(-0.85, -0.1), (-1.3, -0.25), (-1.58, -0.65), (-1.5, -curl)], 0.12, 0.08)
    addLegs(length: 0.55, radius: 0.13)
    addBody()
    let tip = vary(1.3, 0.08)
    polygon(.head, second, [(0.68, -0.65), (0.66, -tip), (1.02, -0.85)], 0.03)
    polygon(.head, second, [(1.08, -0.85), (1.42, -tip), (1.42, -0.65)], 0.03)
    ellipse(.head, main, (1.05, -0.48), (0.46, 0.42))
    addEye(0.95, -0.55)
    addEye(1.25, -0.55)
  }

  private mutating func addFish() {
    let fork = vary(0.62, 0.15)
    polygon(.tail, second, [(-0.8, 0), (-1.72, -fork), (-1.45, 0), (-1.72, fork)], 0.04)
    polygon(.fin, second, [(-0.5, -0.35), (-0.35, -vary(1.0, 0.12)), (0.1, -0.85), (0.45, -0.4)], 0.03)
    addBody()
    ellipse(.head, main.mixed(second, 0.25), (0.68, 0), (0.42, bodyRadii.y * 0.78))
    polygon(.fin, second, [(0.12, 0.08), (-0.3, 0.05), (-0.35, vary(0.42, 0.2))], 0.03)
    stroke(.head, main * 0.4, [(0.9, 0.2), (1.05, 0.14)], 0.03)
    addEye(0.8, -0.12)
  }

  private mutating func addRabbit() {
    ellipse(.tail, second, (-1.08, -0.12), (vary(0.24, 0.15), 0.23))
    addLegs(length: 0.4, radius: 0.14)
    ellipse(.hindleg, main, (-0.55, 0.4), (0.4, 0.36))
    addBody()
    let lean = vary(0.2, 0.6), length = vary(0.55, 0.12)
    ellipse(.head, second, (0.84, -1.22), (0.13, length), -lean)
    ellipse(.head, second, (1.13, -1.2), (0.13, length), lean * 0.6)
    ellipse(.head, main, (1.0, -0.5), (0.42, 0.39))
    addEye(1.12, -0.58)
    ellipse(.head, second, (1.4, -0.45), (0.08, 0.07))
  }

  private mutating func addDeer() {
    ellipse(.tail, second, (-1.05, -0.25), (vary(0.24, 0.15), 0.12), -0.5)
    addLegs(length: 1.0, radius: 0.085)
    addBody()
    stroke(.body, main, [(0.65, -0.2), (1.12, -0.8)], 0.24, 0.2)
    let height = vary(0.62, 0.12)
    for (x, side) in [(Float(1.08), Float(-1)), (1.22, 1)] {
      let tip = x + side * vary(0.3, 0.2) - 0.1
      stroke(.head, second, [(x, -1.05), (x + side * 0.05 - 0.05, -1.3), (tip, -1.1 - height)], 0.06, 0.04)
      stroke(
        .head, second, [(x + side * 0.08 - 0.05, -1.35), (x + side * 0.35, -1.4 - height * 0.3)], 0.05, 0.035)
    }
    ellipse(.head, main, (1.28, -0.95), (0.4, 0.26), 0.3)
    addEye(1.22, -1.02)
  }

  private mutating func addBee() {
    polygon(.tail, second, [(-0.85, -0.14), (-1.45 * vary(1, 0.1), 0.02), (-0.85, 0.16)], 0.02)
    for x: Float in [-0.4, 0, 0.4] {
      stroke(.leg, second, [(x, 0.4), (x + 0.08, 0.72), (x - 0.05, 0.72 + vary(0.22, 0.2))], 0.05, 0.04)
    }
    let length = vary(0.62, 0.12)
    ellipse(.wing, second, (-0.32, -0.88), (0.3, length), -vary(0.55, 0.3), opacity: 0.85)
    ellipse(.wing, second, (0.24, -0.92), (0.28, length), vary(0.3, 0.4), opacity: 0.85)
    addBody()
    for x: Float in [1.0, 1.18] {
      let tip = Point(x + vary(0.22, 0.3), -vary(0.85, 0.12))
      stroke(.head, second, [(x, -0.4), (x + 0.05, -0.65), (tip.x, tip.y)], 0.04)
      ellipse(.head, second, (tip.x, tip.y), (0.08, 0.08))
    }
    ellipse(.head, main, (1.02, -0.15), (0.4, 0.4))
    addEye(1.15, -0.22)
  }

  private mutating func addElephant() {
    let swing = vary(0.4, 0.4)
    stroke(.tail, main, [(-0.9, -0.2), (-1.2, 0), (-1.2 - swing * 0.3, 0.4)], 0.06, 0.045)
    ellipse(.tail, second, (-1.2 - swing * 0.3, 0.44), (0.09, 0.12))
    addLegs(length: 0.6, radius: 0.2)
    addBody()
    let reach = vary(1.75, 0.05)
    stroke(.head, main, [(1.35, -0.35), (1.6, 0.05), (1.55, 0.5), (reach, 0.82)], 0.18, 0.09)
    ellipse(.head, main, (1.12, -0.45), (0.48, 0.44))
    ellipse(.head, second, (0.8, -0.42), (vary(0.31, 0.12), 0.42), 0.15)
    addEye(1.28, -0.55)
  }

  private mutating func addTurtle() {
    polygon(.tail, main, [(-0.85, 0.2), (-1.4 * vary(1, 0.08), 0.38), (-0.8, 0.45)], 0.03)
    addLegs(length: 0.32, radius: 0.2)
    addBody()
    stroke(.head, main, [(0.75, 0.1), (1.15, -0.1 * vary(1, 0.5)), (1.4, -0.25)], 0.15, 0.13)
    ellipse(.head, main, (1.5, -0.3), (0.3, 0.25))
    addEye(1.6, -0.37)
    let height = vary(0.78, 0.1)
    polygon(
      .shell, second,
      [
        (-1.0, 0.12), (-0.82, -height * 0.6), (-0.35, -height), (0.35, -height), (0.82, -height * 0.6),
        (1.0, 0.12),
      ],
      0.06)
  }

  // MARK: - What they share

  private mutating func addBody() {
    add(.body, .ellipse(center: Point(0, 0), radii: bodyRadii, angle: 0), main, pattern: pattern)
  }

  private mutating func addLegs(length: Float, radius: Float) {
    let top: Float = 0.38, end = top + vary(length, 0.12)
    for (part, x) in [(SyntheticPart.hindleg, Float(-0.72)), (.hindleg, -0.42), (.leg, 0.42), (.leg, 0.72)] {
      stroke(part, main, [(x, top), (x + vary(0.06, 1.5), end)], radius)
    }
  }

  private mutating func addEye(_ x: Float, _ y: Float) {
    figures.append(
      Figure(
        outline: .ellipse(center: Point(x, y), radii: Point(0.1, 0.1), angle: 0), color: Color(1, 1, 1),
        part: SyntheticPart.head.rawValue))
    figures.append(
      Figure(
        outline: .ellipse(center: Point(x + 0.03, y), radii: Point(0.06, 0.06), angle: 0),
        color: Color(0.05, 0.05, 0.08), part: SyntheticPart.head.rawValue))
  }

  /// `value` within ± `share` of itself.
  private mutating func vary(_ value: Float, _ share: Float) -> Float {
    value * (1 + random.uniform(-share, share))
  }

  private mutating func ellipse(
    _ part: SyntheticPart, _ color: Color, _ center: (Float, Float), _ radii: (Float, Float),
    _ angle: Float = 0,
    opacity: Float = 1
  ) {
    add(
      part, .ellipse(center: Point(center.0, center.1), radii: Point(radii.0, radii.1), angle: angle), color,
      opacity: opacity)
  }

  private mutating func polygon(
    _ part: SyntheticPart, _ color: Color, _ corners: [(Float, Float)], _ radius: Float = 0.05
  ) {
    add(part, .polygon(corners.map { Point($0.0, $0.1) }, radius: radius), color)
  }

  private mutating func stroke(
    _ part: SyntheticPart, _ color: Color, _ points: [(Float, Float)], _ startRadius: Float,
    _ endRadius: Float? = nil
  ) {
    add(
      part,
      .stroke(
        points.map { Point($0.0, $0.1) }, startRadius: startRadius, endRadius: endRadius ?? startRadius),
      color)
  }

  private mutating func add(
    _ part: SyntheticPart, _ outline: Outline, _ color: Color, pattern: Figure.Pattern = .plain,
    opacity: Float = 1
  ) {
    figures.append(
      Figure(
        outline: outline, color: color, part: part.rawValue, edge: 0.03, pattern: pattern, opacity: opacity))
  }
}
