import Communication
import Datasets
import Interpretability
import Networks
import Training

/// Everything that `icnn evaluate` finds out about a checkpoint on a split; alike on all ranks.
struct Evaluation: Encodable {
  let result: EvaluationResult
  /// nil with `--accuracy-only`.
  let metrics: FilterMetrics?
  /// What the metrics rest on.
  let records: FilterRecords?

  /// Opens the data and runs the network over it, once or as often as the metrics need. All ranks call it.
  init(
    _ trained: TrainedNetwork, data: String, split: Split, _ measuring: MetricsOptions,
    _ communicator: any Communicator, _ console: Console
  ) throws {
    let opened = try trained.open(data: data, communicator, console)
    guard !measuring.accuracyOnly else {
      result = try trained.evaluate(opened, split: split, communicator, console)
      metrics = nil
      records = nil
      return
    }
    let study = try onAllRanks(communicator) {
      try FilterStudy(
        trained.network, trained.context, layer: measuring.layer,
        entries: trained.entries(split, of: opened), classNames: trained.state.classNames, opened.folder,
        InputFrame(imageSize: opened.preprocessing.imageSize, opened.augmentation),
        options: measuring.options,
        RankGather(rank: communicator.rank, rankCount: communicator.size) { try communicator.allGather($0) })
    }
    var first: EvaluationResult?
    let (records, metrics) = try study.run { observer in
      let result = try trained.evaluate(opened, split: split, communicator, console, observer: observer)
      if first == nil { first = result }
    }
    (self.records, self.metrics) = (records, metrics)
    guard let first else { preconditionFailure("FilterStudy ran no pass") }
    result = first
  }

  enum CodingKeys: String, CodingKey {
    case loss
    case classAccuracies = "class_accuracies"
  }

  func encode(to encoder: any Encoder) throws {
    try result.encode(to: encoder)
    try metrics?.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    // A sum over the images: its last digits depend on how they were shared.
    try container.encode((result.loss * 1e6).rounded() / 1e6, forKey: .loss)
    var accuracies: [String: Double] = [:]
    for (name, accuracy) in zip(result.classNames, result.classAccuracies) { accuracies[name] = accuracy }
    try container.encode(accuracies, forKey: .classAccuracies)
  }
}
