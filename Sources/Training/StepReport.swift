import Networks

/// What one optimiser step did; the same on all ranks, but for the times.
public struct StepReport: Sendable {
  /// Number of the step, from 1.
  public var step: Int
  /// Epoch it belongs to, from 1.
  public var epoch: Int
  /// Images of all ranks.
  public var imageCount: Int
  /// Mean task loss over the images.
  public var taskLoss: Double
  /// Σ over the interpretable layers of λ · Σ over the filters of the filter loss; in the scaled form of its mean.
  public var filterLoss: Double
  /// Share of the training images that were classified correctly.
  public var accuracy: Double
  /// Learning rate of the step.
  public var learningRate: Double
  /// True if any rank has been asked to stop.
  public var stopRequested: Bool
  /// One report per interpretable layer, from the bottom.
  public var filters: [FilterReport]
  /// Where this rank's time went.
  public var times = StepTimes()
  /// Of which it waited for images.
  public var dataWaitSeconds = 0.0

  /// Task loss and filter loss.
  public var loss: Double { taskLoss + filterLoss }
  /// All ranks' images per second.
  public var imagesPerSecond: Double { times.total > 0 ? Double(imageCount) / times.total : 0 }

  /// The state of the training in one line.
  func progressLine(totalSteps: Int, stepSeconds: Double) -> String {
    let left = Int((stepSeconds * Double(totalSteps - step)).rounded())
    let time =
      left >= 3600 ? "\(left / 3600) h \(left / 60 % 60) min" : left >= 60 ? "\(left / 60) min" : "\(left) s"
    return "epoch \(epoch) step \(step)/\(totalSteps): loss \(loss.fixed(4)), accuracy \(accuracy.fixed(3)), "
      + "\((Double(imageCount) / max(stepSeconds, 1e-9)).fixed(1)) images/s, \(time) left"
  }
}

extension MetricsLog {
  /// Writes the `step` event.
  func write(_ report: StepReport) {
    write(
      "step",
      [
        "step": .integer(report.step), "epoch": .integer(report.epoch), "loss": .number(report.loss),
        "task_loss": .number(report.taskLoss), "filter_loss": .number(report.filterLoss),
        "accuracy": .number(report.accuracy), "learning_rate": .number(report.learningRate),
        "images": .integer(report.imageCount), "images_per_second": .number(report.imagesPerSecond),
        "seconds": .number(report.times.total), "data_wait_seconds": .number(report.dataWaitSeconds),
        "communication_seconds": .number(report.times.communication),
        "filters": .objects(report.filters.map(\.fields)),
      ])
  }
}

extension FilterReport {
  /// What the log says of one interpretable layer. Entropies and losses are means over filters, in nats.
  var fields: KeyValuePairs<String, MetricsValue> {
    [
      "layer": .text(layer), "lambda": .number(lambda), "mean_maximum": .number(meanMaximum),
      "score_scale": .number(scoreScale), "gradient_ratio": .number(gradientRatio ?? .nan),
      "loss": .number(terms?.loss ?? .nan), "prior_entropy": .number(terms?.priorEntropy ?? .nan),
      "inter_category_entropy": .number(terms?.interCategoryEntropy ?? .nan),
      "spatial_entropy": .number(terms?.spatialEntropy ?? .nan),
      "filters_per_category": .integers(filtersPerCategory), "changed_filters": .integer(changedFilters),
    ]
  }
}
