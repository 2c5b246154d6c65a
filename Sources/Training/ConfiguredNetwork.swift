import Datasets
import Networks

extension TrainingConfiguration {
  /// Checks what depends on the architecture and fills in its defaults, so that the echo in the run says everything.
  ///
  /// - Throws: `ConfigurationError` for an unknown network or images it cannot take.
  public func resolved() throws(ConfigurationError) -> (TrainingConfiguration, Architecture) {
    guard let architecture = Architecture.named(network) else {
      let known = Architecture.all.map(\.name).joined(separator: ", ")
      throw .invalid(source: "options", option: "network", reason: "'\(network)' is none of \(known)")
    }
    var result = self
    let size = imageSize ?? architecture.imageSize
    guard size >= architecture.smallestImageSize else {
      throw .invalid(
        source: "options", option: "image-size",
        reason: "\(size) pixels; \(network) needs at least \(architecture.smallestImageSize)")
    }
    try requireWidths(of: architecture)
    result.imageSize = size
    result.learningRate = learningRate ?? architecture.learningRate
    result.weightDecay = weightDecay ?? architecture.weightDecay
    result.dropout = dropout ?? Double(architecture.dropout)
    result.epochs = epochs ?? architecture.epochs
    result.scaleJitter = scaleJitter ?? architecture.scaleJitter
    result.colorJitter = colorJitter ?? architecture.colorJitter
    result.filterGradientShare = filterGradientShare ?? Self.defaultFilterGradientShare
    if positiveClass != nil { result.loss = .logistic }
    return (result, architecture)
  }

  /// Widths are of layers that are there, and divide into the groups of the convolutions around them.
  private func requireWidths(of architecture: Architecture) throws(ConfigurationError) {
    guard let widths else { return }
    let parameters = architecture.layers(NetworkOptions(outputs: 2)).layers.flatMap(\.parameters)
    let names = Set(parameters.map(\.name))
    if let stranger = widths.keys.sorted().first(where: { !names.contains($0 + ".weight") }) {
      throw .invalid(source: "options", option: "widths", reason: "\(network) has no layer '\(stranger)'")
    }
    if let layer = architecture.indivisibleLayer(widths: widths) {
      throw .invalid(
        source: "options", option: "widths",
        reason: "\(layer): \(widths[layer] ?? 0) channels do not divide into groups")
    }
  }

  /// ρ where none is given. Twice as much and more costs several points of accuracy on most photographs, and where filters
  /// can go to any category gives them all to one (docs/adr/0013, docs/Reproduction.md).
  static let defaultFilterGradientShare = 0.75

  /// The same with the default of the filter loss's warm-up filled in, which depends on the number of training images.
  func withFilterLossWarmup(trainingImages: Int) -> TrainingConfiguration {
    guard filterLossWarmupEpochs == nil else { return self }
    let stepsPerEpoch = max((trainingImages + batchSize - 1) / batchSize, 1)
    let epochs = steps.map { Double($0) / Double(stepsPerEpoch) } ?? Double(epochs ?? 0)
    var result = self
    result.filterLossWarmupEpochs = initialWeights == nil ? epochs / 3 : 0
    return result
  }

  /// Images of a step whose factors are kept instead of gradients; 0 where that does not pay, where parts are added up, and
  /// in reproducible runs: factors do not leave a process.
  var factorImages: Int {
    accumulate == 1 && !reproducible && batchSize <= GradientFactors.largestBatch ? batchSize : 0
  }

  /// Threads that decode a rank's images; a shard is a small one.
  var loaderThreadCount: Int { reproducible ? 1 : loaderThreads }

  /// What the network is built for.
  public func networkOptions(outputs: Int) -> NetworkOptions {
    var options = NetworkOptions(outputs: outputs, imageSize: imageSize)
    options.widths = widths ?? [:]
    options.startsFromPretrained = initialWeights != nil
    options.dropout = dropout.map { Float($0) }
    options.synchronizedBatchNormalization = batchNorm == .global
    options.convolutionAlgorithm = convolution == .exact ? .direct : .automatic
    guard interpretable else { return options }
    var filters = InterpretableOptions()
    filters.formulation = formulation
    filters.filterGradient = filterGradient
    filters.maskScale = maskScale
    filters.normalizer = normalizer
    filters.weight = filterLossWeight
    filters.filterLossEnabled = filterLoss != .off && filterLossWeight != 0
    if filterLoss == .scaled && formulation == .paper {
      filters.scoreScale = scoreScale
      filters.gradientShare = filterGradientShare ?? Self.defaultFilterGradientShare
      filters.warmupEpochs = filterLossWarmupEpochs ?? 0
    }
    filters.negativeFilters = negativeFilters
    options.interpretable = filters
    return options
  }

  /// Learning rate over time, as a factor on `learningRate`.
  func learningRateSchedule() -> LearningRateSchedule {
    switch schedule {
    case .constant: .constant
    case .step: .step(factor: 0.1, epochs: stepEpochs)
    case .logarithmic: .logarithmic(final: 0.1, epochs: epochs ?? 1)
    case .cosine: .cosine(final: 0, warmupEpochs: warmupEpochs)
    }
  }

  /// The loss at the top.
  public func taskLoss(outputs: Int) -> any Loss {
    if outputs == 1 || loss == .logistic { return Logistic() }
    return SoftmaxCrossEntropy()
  }

  /// Refuses to continue a run under other conditions: what changes the meaning of the weights or the statistics
  /// must be as it was; how long and how fast may change.
  func requireContinuation(of state: CheckpointState, _ path: String) throws(CheckpointError) {
    let before = state.configuration
    // Of the paper's formulation alone, and of interpretable networks.
    let hasForm = interpretable && formulation == .paper
    let fields: [(String, String, String)] = [
      ("network", before.network, network),
      ("interpretable", "\(before.interpretable)", "\(interpretable)"),
      ("positive-class", before.positiveClass ?? "none", positiveClass ?? "none"),
      (
        "positives-per-counter-example",
        "\(before.positivesPerCounterExample ?? LearningTask.authorsPositives)",
        "\(positivesPerCounterExample ?? LearningTask.authorsPositives)"
      ),
      ("loss", before.loss.rawValue, loss.rawValue),
      ("widths", Self.text(before.widths), Self.text(widths)),
      ("image-size", "\(before.imageSize ?? 0)", "\(imageSize ?? 0)"),
      ("formulation", before.formulation.rawValue, formulation.rawValue),
      ("filter-loss", hasForm ? before.filterLoss.rawValue : "", hasForm ? filterLoss.rawValue : ""),
      ("batch-size", "\(before.batchSize)", "\(batchSize)"),
      ("accumulate", "\(before.accumulate)", "\(accumulate)"),
      ("mean", before.mean.rawValue, mean.rawValue),
      ("crop-margin", "\(before.cropMargin)", "\(cropMargin)"),
      ("scale-jitter", "\(before.scaleJitter ?? 0)", "\(scaleJitter ?? 0)"),
      ("color-jitter", "\(before.colorJitter ?? 0)", "\(colorJitter ?? 0)"),
      ("seed", "\(before.seed)", "\(seed)"),
      ("reproducible", "\(before.reproducible)", "\(reproducible)"),
      ("shards", reproducible ? "\(before.shards)" : "", reproducible ? "\(shards)" : ""),
    ]
    for (name, old, new) in fields where old != new {
      throw .mismatch(path: path, reason: "\(name) was \(old) and is now \(new)")
    }
  }

  private static func text(_ widths: [String: Int]?) -> String {
    (widths ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ")
  }
}
