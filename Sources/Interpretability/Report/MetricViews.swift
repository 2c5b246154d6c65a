import Foundation

/// A metric in the template `metrics`.
struct MetricView {
  /// The line of one network.
  struct Row {
    let network: Int
    let networkName: String
    let value: NumberView
    let interval: NumberView?, random: NumberView?, centre: NumberView?
    let plot: String
  }

  let name: String, explanation: String, direction: String
  let rows: [Row]

  init(_ metric: ReportContents.Metric, networks: [String]) {
    let scale = Self.scale(metric)
    name = metric.name
    explanation = metric.explanation
    direction =
      switch metric.direction {
      case .lowerIsBetter: "↓ lower is better"
      case .higherIsBetter: "↑ higher is better"
      }
    rows = metric.estimates.map { estimate in
      let network = networks.firstIndex(of: estimate.network)
      precondition(
        network != nil, "MetricView: \(metric.name) of \(estimate.network), expected one of \(networks)")
      return Row(
        network: network ?? 0, networkName: estimate.network, value: NumberView(estimate.value),
        interval: Self.interval(estimate),
        random: estimate.random.map { NumberView($0) }, centre: estimate.centre.map { NumberView($0) },
        plot: Self.plot(estimate, network: network ?? 0, scale))
    }
  }

  private static func interval(_ estimate: ReportContents.Metric.Estimate) -> NumberView? {
    guard let lower = estimate.lower, let upper = estimate.upper else { return nil }
    return NumberView(lower, upper)
  }

  /// From 0, or the lowest number below it, to the highest of a metric.
  private static func scale(_ metric: ReportContents.Metric) -> ClosedRange<Double> {
    let numbers = metric.estimates.flatMap {
      [$0.value, $0.lower, $0.upper, $0.random, $0.centre].compactMap { $0?.finite }
    }
    let lowest = min(0, numbers.min() ?? 0)
    let highest = max(numbers.max() ?? 1, lowest)
    return lowest...(highest > lowest ? highest : lowest + 1)
  }

  /// Value, interval and controls on the metric's scale; the numbers stand in the same row.
  private static func plot(
    _ estimate: ReportContents.Metric.Estimate, network: Int, _ scale: ClosedRange<Double>
  ) -> String {
    let place = { (value: Double) in
      6 + (value - scale.lowerBound) / (scale.upperBound - scale.lowerBound) * 164
    }
    let text = { (value: Double) in String(format: "%.1f", value) }
    var svg =
      "<svg class=\"forest\" viewBox=\"0 0 176 26\" aria-hidden=\"true\">"
      + "<line class=\"base\" x1=\"6\" x2=\"170\" y1=\"13\" y2=\"13\"/>"
    if let x = estimate.random?.finite.map(place) {
      svg += "<path class=\"control\" d=\"M\(text(x)) 8l5 5l-5 5l-5 -5z\"/>"
    }
    if let x = estimate.centre?.finite.map(place) {
      svg += "<path class=\"control\" d=\"M\(text(x)) 8l5 9l-10 0z\"/>"
    }
    if let lower = estimate.lower?.finite.map(place), let upper = estimate.upper?.finite.map(place) {
      svg +=
        "<line class=\"interval network-\(network)\" x1=\"\(text(lower))\" x2=\"\(text(upper))\" y1=\"13\" y2=\"13\"/>"
    }
    if let x = estimate.value.finite.map(place) {
      svg += "<circle class=\"network-\(network)\" cx=\"\(text(x))\" cy=\"13\" r=\"4\"/>"
    }
    return svg + "</svg>"
  }
}

extension NumberView {
  /// An interval; missing where one of its ends is.
  init(_ lower: ReportNumber, _ upper: ReportNumber) {
    isMissing = lower.finite == nil || upper.finite == nil
    reason = lower.finite == nil ? lower.reason : upper.reason
    text = "\(lower.text) to \(upper.text)"
  }
}
