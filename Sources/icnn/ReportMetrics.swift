import Interpretability
import Training

/// The figures of one or two evaluations as a report lists them.
struct ReportMetrics {
  private let evaluations: [(name: String, evaluation: Evaluation)]

  init(_ evaluations: [(name: String, evaluation: Evaluation)]) { self.evaluations = evaluations }

  /// Those that at least one network has.
  var metrics: [ReportContents.Metric] {
    [
      metric(
        "Location instability",
        "How far a filter's peak strays from the parts of its category, relative to the image's diagonal; mean over the "
          + "filters. A filter that always peaked at the centre would get the control.",
        .lowerIsBetter, "location_instability"
      ) { ($0.locationInstability, $0.intervals.locationInstability, $0.controls.locationInstability) },
      metric(
        "Part interpretability",
        "Share of the images on which a filter's region covers its best part; mean over the filters.",
        .higherIsBetter, "part_interpretability"
      ) { ($0.partInterpretability, $0.intervals.partInterpretability, $0.controls.partInterpretability) },
      metric(
        "Purity", "Share of its own category in a filter's mean activations; mean over the filters.",
        .higherIsBetter,
        "purity"
      ) { ($0.purity, $0.intervals.purity, nil) },
      metric(
        "Mutual information",
        "What a map tells about the template that fits it, in nats: the filter loss is its negative.",
        .higherIsBetter,
        "entropies"
      ) { ($0.entropies?.mutualInformation, $0.intervals.mutualInformation, nil) },
      accuracy,
    ].filter { $0.estimates.contains { $0.value.finite != nil } }
  }

  private var accuracy: ReportContents.Metric {
    ReportContents.Metric(
      name: "Accuracy", explanation: "Share of images whose class is predicted.", direction: .higherIsBetter,
      estimates: evaluations.map { name, evaluation in
        ReportContents.Metric.Estimate(
          network: name, value: ReportNumber(evaluation.result.accuracy, or: "the split has no images"))
      })
  }

  private func metric(
    _ name: String, _ explanation: String, _ direction: ReportContents.Metric.Direction, _ key: String,
    _ figures: (FilterMetrics) -> (Double?, Bootstrap.Interval?, FilterMetrics.Controls?)
  ) -> ReportContents.Metric {
    ReportContents.Metric(
      name: name, explanation: explanation, direction: direction,
      estimates: evaluations.compactMap { network, evaluation in
        guard let metrics = evaluation.metrics else { return nil }
        let (value, interval, controls) = figures(metrics)
        let reason = metrics.leftOut[key] ?? "no filter has it"
        var estimate = ReportContents.Metric.Estimate(
          network: network, value: ReportNumber(value, or: reason))
        estimate.lower = interval.map { ReportNumber($0.lower, or: reason) }
        estimate.upper = interval.map { ReportNumber($0.upper, or: reason) }
        estimate.random = controls.map { ReportNumber($0.random, or: reason) }
        estimate.centre = controls.map { ReportNumber($0.centre, or: reason) }
        return estimate
      })
  }
}
