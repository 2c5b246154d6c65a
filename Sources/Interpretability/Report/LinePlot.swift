import Foundation

/// Curves over steps as SVG: axes with round ticks, a legend, words for those who do not see it. Colours are classes of
/// the page's style sheet, so that they suit light and dark.
struct LinePlot {
  /// How a line is drawn.
  enum Stroke: String { case training, validation }

  /// One curve.
  struct Line {
    let name: String
    /// 0 or 1: decides the colour.
    let network: Int
    let stroke: Stroke
    let curve: TrainingCurves.Curve

    /// A line through the finite points of `curve`.
    init(name: String, network: Int, stroke: Stroke, curve: TrainingCurves.Curve) {
      self.name = name
      self.network = network
      self.stroke = stroke
      self.curve = curve.finite
    }
  }

  let title: String
  let lines: [Line]

  private static let width = 560.0, height = 300.0
  private static let left = 58.0, right = 14.0, top = 12.0, bottom = 42.0
  private static let pointLimit = 300

  /// Curves without points are left out; nil if none remains.
  init?(title: String, lines: [Line]) {
    self.title = title
    self.lines = lines.filter { !$0.curve.steps.isEmpty }
    if self.lines.isEmpty { return nil }
  }

  /// The `svg` element. `identifier` is unique in the page.
  func svg(identifier: String) -> String {
    let points = lines.map { $0.curve.thinned(to: Self.pointLimit) }
    let steps = points.flatMap(\.steps).map(Double.init)
    let values = points.flatMap(\.values)
    let x = Axis(steps: max(steps.max() ?? 1, 1))
    let y = Axis(covering: min(0, values.min() ?? 0), values.max() ?? 1)
    var svg =
      "<svg class=\"plot\" viewBox=\"0 0 \(Int(Self.width)) \(Int(Self.height))\" role=\"img\" "
      + "aria-labelledby=\"\(identifier)-title \(identifier)-text\">"
      + "<title id=\"\(identifier)-title\">\(HTMLText.escape(title)) over optimiser steps</title>"
      + "<desc id=\"\(identifier)-text\">\(HTMLText.escape(words))</desc>"
    svg += ticks(x, y)
    for (line, points) in zip(lines, points) { svg += path(line, points, x, y) }
    return svg + "</svg>"
  }

  /// First, last and extreme value of every curve.
  private var words: String {
    lines.map { line in
      let values = line.curve.values
      let number = { (value: Double) in ReportNumber.value(value).text }
      return "\(line.name): \(values.count) values from step \(line.curve.steps[0]) to "
        + "\(line.curve.steps[values.count - 1]); first \(number(values[0])), last \(number(values[values.count - 1])), "
        + "lowest \(number(values.min() ?? 0)), highest \(number(values.max() ?? 0))."
    }.joined(separator: " ")
  }

  private func ticks(_ x: Axis, _ y: Axis) -> String {
    let base = Self.height - Self.bottom
    var svg = "<g class=\"grid\" aria-hidden=\"true\">"
    for tick in y.ticks {
      let position = Self.text(place(y, tick, Self.height - Self.bottom, Self.top))
      svg +=
        "<line x1=\"\(Self.left)\" x2=\"\(Self.width - Self.right)\" y1=\"\(position)\" y2=\"\(position)\"/>"
      svg +=
        "<text x=\"\(Self.left - 8)\" y=\"\(position)\" dy=\"0.32em\" text-anchor=\"end\">\(y.label(tick))</text>"
    }
    for tick in x.ticks {
      let position = Self.text(place(x, tick, Self.left, Self.width - Self.right))
      svg += "<line class=\"tick\" x1=\"\(position)\" x2=\"\(position)\" y1=\"\(base)\" y2=\"\(base + 5)\"/>"
      svg += "<text x=\"\(position)\" y=\"\(base + 18)\" text-anchor=\"middle\">\(x.label(tick))</text>"
    }
    svg +=
      "<text class=\"axis\" x=\"\((Self.left + Self.width - Self.right) / 2)\" y=\"\(Self.height - 6)\" "
      + "text-anchor=\"middle\">step</text>"
    return svg + "</g>"
  }

  private func path(_ line: Line, _ points: TrainingCurves.Curve, _ x: Axis, _ y: Axis) -> String {
    let places = zip(points.steps, points.values).map { step, value in
      (
        Self.text(place(x, Double(step), Self.left, Self.width - Self.right)),
        Self.text(place(y, value, Self.height - Self.bottom, Self.top))
      )
    }
    let path = "M" + places.map { "\($0.0) \($0.1)" }.joined(separator: "L")
    var svg = "<path class=\"line \(line.stroke.rawValue) network-\(line.network)\" d=\"\(path)\"/>"
    // Few points are seen as points, too: a single one has no line.
    if places.count <= 40 {
      for place in places {
        svg +=
          "<circle class=\"\(line.stroke.rawValue) network-\(line.network)\" cx=\"\(place.0)\" cy=\"\(place.1)\" r=\"2.6\"/>"
      }
    }
    return svg
  }

  private func place(_ axis: Axis, _ value: Double, _ from: Double, _ to: Double) -> Double {
    from + (value - axis.lower) / (axis.upper - axis.lower) * (to - from)
  }

  private static func text(_ value: Double) -> String { String(format: "%.1f", value) }
}

/// A scale with ticks at round numbers.
struct Axis {
  /// Ends.
  let lower: Double, upper: Double
  /// Between them.
  let ticks: [Double]
  private let decimals: Int

  /// Covers all of `from`...`to`; the ends are ticks.
  init(covering from: Double, _ to: Double) {
    let distance = Self.distance(to > from ? to - from : max(abs(from), 1))
    let first = floor(from / distance + 1e-9)
    let last = max(ceil(to / distance - 1e-9), first + 1)
    lower = first * distance
    upper = last * distance
    ticks = (0...Int(last - first)).map { (first + Double($0)) * distance }
    decimals = max(0, Int(-floor(log10(distance) + 1e-9)))
  }

  /// From 0 to the last step, 1 or more; the ticks are whole numbers.
  init(steps: Double) {
    let distance = max(Self.distance(steps).rounded(), 1)
    lower = 0
    upper = steps
    ticks = (0...Int(steps / distance)).map { Double($0) * distance }
    decimals = 0
  }

  /// 1, 2 or 5 · 10ⁿ, about a fifth of `span`.
  private static func distance(_ span: Double) -> Double {
    let power = pow(10, floor(log10(span / 5)))
    return [1.0, 2, 5, 10].map { $0 * power }.first { $0 >= span / 5 * 0.999 } ?? span / 5
  }

  /// A tick's number, with as many decimals as neighbouring ticks need to differ.
  func label(_ value: Double) -> String {
    let magnitude = max(abs(lower), abs(upper))
    if magnitude >= 1e6 || decimals > 4 { return value == 0 ? "0" : String(format: "%.1e", value) }
    return String(format: "%.\(decimals)f", value).replacing("-", with: "−")
  }
}
