import Interpretability
import Training

/// An evaluation as plain text.
struct EvaluationTable {
  private let evaluation: Evaluation

  init(_ evaluation: Evaluation) { self.evaluation = evaluation }

  /// All tables, separated by empty lines.
  var text: String {
    ([head, Self.table(confusion)] + (evaluation.metrics.map(sections) ?? [])).filter { !$0.isEmpty }
      .joined(separator: "\n\n")
  }

  private var head: String {
    let result = evaluation.result
    return "images \(result.imageCount), accuracy \(result.accuracy.fixed(4)), loss \(result.loss.fixed(4))"
  }

  private var confusion: [[String]] {
    let result = evaluation.result
    return [["true"] + result.classNames + ["correct"]]
      + result.classNames.indices.map { index in
        [result.classNames[index]] + result.confusion[index].map { String($0) }
          + [result.classAccuracies[index].map { $0.fixed(3) } ?? "-"]
      }
  }

  private func sections(_ metrics: FilterMetrics) -> [String] {
    let layer = metrics.layer
    let field = layer.receptiveField
    return [
      "\(layer.name): \(layer.filters) filters, maps of \(layer.mapHeight)×\(layer.mapWidth) cells, which see "
        + "\(field.vertical.size)×\(field.horizontal.size) pixels every \(field.vertical.stride)",
      Self.table(figures(metrics)), Self.table(categories(metrics)), entropies(metrics), leftOut(metrics),
    ]
  }

  private func figures(_ metrics: FilterMetrics) -> [[String]] {
    func row(
      _ name: String, _ value: Double?, _ interval: Bootstrap.Interval?, _ random: Double?, _ centre: Double?,
      _ key: String, _ better: String
    ) -> [[String]] {
      guard let value else { return [] }
      return [
        [
          name, value.fixed(4), interval.map { "\($0.lower.fixed(4))..\($0.upper.fixed(4))" } ?? "-",
          random?.fixed(4) ?? "-", centre?.fixed(4) ?? "-",
          metrics.measuredFilters[key].map { String($0) } ?? "-",
          better,
        ]
      ]
    }
    let (controls, intervals) = (metrics.controls, metrics.intervals)
    let rows =
      row(
        "location instability", metrics.locationInstability, intervals.locationInstability,
        controls.locationInstability?.random, controls.locationInstability?.centre, "location_instability",
        "lower")
      + row(
        "part interpretability", metrics.partInterpretability, intervals.partInterpretability,
        controls.partInterpretability?.random, controls.partInterpretability?.centre, "part_interpretability",
        "higher")
      + row(
        "part correlation", metrics.partCorrelation, intervals.partCorrelation,
        controls.partCorrelation?.random, controls.partCorrelation?.centre, "part_correlation", "higher")
      + row("purity", metrics.purity, intervals.purity, controls.purity, nil, "purity", "higher")
    return rows.isEmpty
      ? []
      : [["mean over filters", "value", "95 % interval", "random", "centre", "filters", "better"]] + rows
  }

  private func categories(_ metrics: FilterMetrics) -> [[String]] {
    [["category", "images", "filters", "instability", "interpretability", "parts covered"]]
      + metrics.categories.map { category in
        let parts = category.coveredParts.map {
          $0.isEmpty ? "0" : "\($0.count): " + $0.joined(separator: ", ")
        }
        return [
          category.name, String(category.images), String(category.filters),
          category.locationInstability?.fixed(4) ?? "-", category.partInterpretability?.fixed(4) ?? "-",
          parts ?? "-",
        ]
      }
  }

  private func entropies(_ metrics: FilterMetrics) -> String {
    guard let entropies = metrics.entropies else { return "" }
    return "entropies of the filter loss, nats: H(T) \(entropies.prior.fixed(4)), H(T|X) "
      + "\(entropies.conditional.fixed(4)) (inter-category \(entropies.interCategory.fixed(4)), spatial "
      + "\(entropies.spatial.fixed(4))), mutual information \(entropies.mutualInformation.fixed(6))"
  }

  private func leftOut(_ metrics: FilterMetrics) -> String {
    let silent =
      metrics.silentFilters > 0 ? ["\(metrics.silentFilters) filters fire on no image and are left out"] : []
    return
      (silent + metrics.leftOut.sorted { $0.key < $1.key }.map { "left out: \($0.key): \($0.value)" })
      .joined(separator: "\n")
  }

  /// Rows under each other, the first column to the left, the others to the right but for a last one of words.
  private static func table(_ rows: [[String]]) -> String {
    guard let first = rows.first else { return "" }
    let widths = first.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      row.enumerated().map { column, text in
        let padding = String(repeating: " ", count: widths[column] - text.count)
        return column == 0 ? text + padding : padding + text
      }.joined(separator: "  ")
    }.joined(separator: "\n")
  }
}
