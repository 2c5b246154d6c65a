import Networks

extension TensorBoardWriter {
  /// Steps between two of which the numbers are written; `metrics.jsonl` has every step.
  static let stepInterval = 10

  /// The numbers of a training step.
  func write(_ report: StepReport) {
    var values: [(tag: String, value: Double)] = [
      ("training/loss", report.loss), ("training/task_loss", report.taskLoss),
      ("training/filter_loss", report.filterLoss), ("training/accuracy", report.accuracy),
      ("training/learning_rate", report.learningRate), ("training/epoch", Double(report.epoch)),
      ("speed/images_per_second", report.imagesPerSecond), ("speed/seconds_per_step", report.times.total),
      ("speed/data_wait_seconds", report.dataWaitSeconds),
      ("speed/communication_seconds", report.times.communication),
    ]
    for filters in report.filters {
      let prefix = "filters/\(filters.layer)/"
      values += [
        (prefix + "lambda", filters.lambda), (prefix + "mean_maximum", filters.meanMaximum),
        (prefix + "changed_filters", Double(filters.changedFilters)),
      ]
      guard let terms = filters.terms else { continue }
      values += [
        (prefix + "loss", terms.loss), (prefix + "inter_category_entropy", terms.interCategoryEntropy),
        (prefix + "spatial_entropy", terms.spatialEntropy),
      ]
    }
    scalars(values, step: report.step)
  }

  /// The numbers of a validation after `step` steps.
  func write(_ result: EvaluationResult, step: Int) {
    var values: [(tag: String, value: Double)] = [
      ("validation/loss", result.loss), ("validation/accuracy", result.accuracy),
      ("validation/binary_accuracy", result.binaryAccuracy),
    ]
    for (name, accuracy) in zip(result.classNames, result.classAccuracies) {
      if let accuracy { values.append(("validation_classes/\(name)", accuracy)) }
    }
    scalars(values, step: step)
  }

  /// The distribution of every parameter's values, and the filters of the first layer.
  func write(_ network: Network, step: Int) {
    for parameter in network.store.parameters {
      let tag = "parameters/\(parameter.name)"
      if let histogram = Histogram(parameter) { self.histogram(tag, histogram, step: step) }
    }
    if let filters = network.imageFilters {
      image(
        "filters/first_layer", Montage(filters: filters.exportValues(), shape: filters.shape),
        description: "Each filter on its own scale: 0 is grey.", step: step)
    }
  }

  /// What the sampled filters saw in the first validation images.
  func write(_ sampler: FeatureMapSampler, step: Int) {
    guard let montage = sampler.montage() else { return }
    let filters = sampler.filters.map(String.init).joined(separator: ", ")
    image(
      "maps/\(sampler.layer)", montage,
      description: "A row per validation image: the image, then the maps of the filters \(filters); "
        + "white is a filter's largest activation in these images.", step: step)
  }
}

extension Histogram {
  /// The values of a parameter, without padding.
  init?(_ parameter: Parameter) {
    switch parameter.layout {
    case .plain, .blockedVector:
      self.init(UnsafeBufferPointer(start: parameter.values, count: parameter.count))
    case .blockedWeights, .interleavedWeights, .expandedGroups:
      let values = parameter.exportValues()
      guard let histogram = values.withUnsafeBufferPointer({ Histogram($0) }) else { return nil }
      self = histogram
    }
  }
}
