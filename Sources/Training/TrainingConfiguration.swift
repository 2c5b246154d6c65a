import Communication
import Datasets
import Foundation
import Networks
import Yams

/// Every knob of a training run: defaults, overridden by a YAML file, overridden by flags. It is echoed whole into
/// the run folder and into every checkpoint. The names in files are those of the flags ("batch-size").
public struct TrainingConfiguration: Codable, Equatable, Sendable {
  /// Loss at the top.
  public enum LossName: String, Codable, Sendable, CaseIterable { case softmax, logistic }
  /// Learning rate over time.
  public enum Schedule: String, Codable, Sendable, CaseIterable {
    case constant, step, cosine
    case logarithmic = "log-spaced"
  }
  /// Which images batch-norm statistics run over.
  public enum BatchNormalizationScope: String, Codable, Sendable, CaseIterable { case global, local }
  /// How strongly the paper's filter loss acts: scores of scaled maps and a share of the task gradient, the paper's λ
  /// and activations to the letter, or not at all (masks only).
  public enum FilterLossForm: String, Codable, Sendable, CaseIterable { case scaled, literal, off }
  /// How images become inputs: as the initial weights were trained, where that is known, or as measured over the training
  /// images.
  public enum PreprocessingSource: String, Codable, Sendable, CaseIterable { case weights, measured }
  /// How convolutions are computed: the fastest way, or the sum itself without Winograd's transforms.
  public enum ConvolutionMode: String, Codable, Sendable, CaseIterable { case auto, exact }

  // MARK: what is learned

  /// Folder of the data set.
  public var data = ""
  /// Architecture.
  public var network = "compact"
  /// Interpretable filters and filter loss, or the ordinary twin.
  public var interpretable = true
  /// Single-category training: this class against all others.
  public var positiveClass: String?
  /// Single-category training: positives are repeated until there are so many for each counter-example; 0: none is
  /// repeated. Nil: the authors' 3.
  public var positivesPerCounterExample: Int?
  /// Loss at the top; single-category training always uses the logistic loss.
  public var loss = LossName.softmax
  /// Side of the square network input, in pixels; nil: the network's own.
  public var imageSize: Int?
  /// Safetensors, PyTorch or MatConvNet file, or a checkpoint, whose layers are loaded where name and shape match.
  public var initialWeights: String?
  /// Output channels of hidden layers by name, where they are not the published ones. Initial weights of a narrower or
  /// wider network set it.
  public var widths: [String: Int]?

  // MARK: the filter loss

  /// Equations of the interpretable layers.
  public var formulation = InterpretableOptions.Formulation.paper
  /// How strongly the filter loss acts. The released formulation knows only its own way, and off.
  public var filterLoss = FilterLossForm.scaled
  /// Mean of the maps' maxima at which the scaled form takes its scores, c.
  public var scoreScale: Double = 10
  /// RMS of the scaled form's gradient over that of the task gradient when it begins, ρ; it falls as 1/t, to a twentieth. Nil:
  /// `defaultFilterGradientShare`.
  public var filterGradientShare: Double?
  /// Epochs before the scaled form begins; nil: none on initial weights, whose filters know something, else a third of
  /// all epochs.
  public var filterLossWarmupEpochs: Double?
  /// Gradient of the paper's formulation.
  public var filterGradient = InterpretableOptions.FilterGradient.singleTerm
  /// Scale of the paper's forward mask.
  public var maskScale = InterpretableOptions.MaskScale.unit
  /// Normalisers of the paper's formulation.
  public var normalizer = InterpretableOptions.Normalizer.batch
  /// λ's scale: λ = weight · (1/t) · mean max x (literal form), weight / t (released); nil: 1 and 0.1. 0 is off.
  public var filterLossWeight: Double?
  /// Single-category training: filters may also belong to the counter-examples.
  public var negativeFilters = false

  // MARK: how long and how fast

  /// Passes over the training split; nil: the network's own.
  public var epochs: Int?
  /// Optimiser steps; overrides `epochs`.
  public var steps: Int?
  /// Images of one optimiser step on all ranks together.
  public var batchSize = 32
  /// Parts into which each batch is cut to save memory; their gradients are added up.
  public var accumulate = 1
  /// Which activations are computed twice to save memory.
  public var recompute = Recomputation.none
  /// Highest learning rate; nil: the network's own.
  public var learningRate: Double?
  /// Momentum of SGD.
  public var momentum: Double = 0.9
  /// L2 decay of the weights; nil: the network's own.
  public var weightDecay: Double?
  /// Learning rate over time.
  public var schedule = Schedule.cosine
  /// Linear warm-up before the schedule proper, in epochs.
  public var warmupEpochs: Double = 1
  /// Step schedule: epochs between two drops by a factor of ten.
  public var stepEpochs = 10
  /// Probability that dropout silences a unit; nil: the network's own.
  public var dropout: Double?
  /// Batch-norm statistics over the global batch or each rank's share.
  public var batchNorm = BatchNormalizationScope.global
  /// Winograd's convolutions where they are faster, or none.
  public var convolution = ConvolutionMode.auto

  // MARK: data

  /// How images become inputs; nil: as the initial weights say, measured if there are none or they do not tell.
  public var preprocessing: PreprocessingSource?
  /// What is subtracted from the images, if that is measured.
  public var mean = Preprocessing.MeanKind.pixel
  /// Random horizontal flips.
  public var flip = true
  /// Random crops: training images are enlarged by this share of the input size before a window is cut.
  public var cropMargin: Double = 0.125
  /// Random sizes of these windows: a factor from [1 − this, 1 + this), at most the whole image; nil: the network's own.
  public var scaleJitter: Double?
  /// Random colours of training images: factors from [1 − this, 1 + this) for brightness, contrast and saturation; nil:
  /// the network's own.
  public var colorJitter: Double?
  /// Leave unreadable images out (listed in the log) instead of refusing to start.
  public var skipBadImages = false
  /// Threads that decode images, per rank.
  public var loaderThreads = 2

  // MARK: the run

  /// Seed of every random number.
  public var seed: UInt64 = 1
  /// Epochs between validations.
  public var validateEvery = 1
  /// Steps between checkpoints; nil: one per epoch.
  public var checkpointEverySteps: Int?
  /// Checkpoints kept.
  public var keepCheckpoints = 3
  /// Gradients that are summed over ranks at a time.
  public var bucketSize = BucketSize.mebibytes(BucketSize.usualMebibytes)
  /// How gradients are added up over ranks.
  public var reduction = ReductionPath.automatic
  /// How gradients travel between nodes, and between ranks without a window.
  public var gradientExchange = ExchangePrecision.float32
  /// The same bits on any number of ranks: every batch is cut into `shards`, whatever the ranks.
  public var reproducible = false
  /// Shards of a reproducible run, a power of two; ranks divide them.
  public var shards = 8

  /// The defaults.
  public init() {}

  enum CodingKeys: String, CodingKey, CaseIterable {
    case data, network, interpretable
    case positiveClass = "positive-class"
    case positivesPerCounterExample = "positives-per-counter-example"
    case loss
    case imageSize = "image-size"
    case initialWeights = "initial-weights"
    case widths
    case formulation
    case filterLoss = "filter-loss"
    case scoreScale = "score-scale"
    case filterGradientShare = "filter-gradient-share"
    case filterLossWarmupEpochs = "filter-loss-warmup-epochs"
    case filterGradient = "filter-gradient"
    case maskScale = "mask-scale"
    case normalizer
    case filterLossWeight = "filter-loss-weight"
    case negativeFilters = "negative-filters"
    case epochs, steps
    case batchSize = "batch-size"
    case accumulate, recompute
    case learningRate = "learning-rate"
    case momentum
    case weightDecay = "weight-decay"
    case schedule
    case warmupEpochs = "warmup-epochs"
    case stepEpochs = "step-epochs"
    case dropout
    case batchNorm = "batch-norm"
    case convolution
    case preprocessing, mean, flip
    case cropMargin = "crop-margin"
    case scaleJitter = "scale-jitter"
    case colorJitter = "color-jitter"
    case skipBadImages = "skip-bad-images"
    case loaderThreads = "loader-threads"
    case seed
    case validateEvery = "validate-every"
    case checkpointEverySteps = "checkpoint-every"
    case keepCheckpoints = "keep-checkpoints"
    case bucketSize = "bucket-mebibytes"
    case reduction
    case gradientExchange = "gradient-exchange"
    case reproducible, shards
  }

  /// Reads a YAML file over the defaults.
  ///
  /// - Throws: `ConfigurationError` for a missing file, an unknown option or a value of the wrong kind.
  public init(yamlFile path: String) throws(ConfigurationError) {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw .missingFile(path: path)
    }
    try self.init(yaml: text, source: path)
  }

  /// Reads YAML text over the defaults; `source` names it in errors.
  public init(yaml text: String, source: String) throws(ConfigurationError) {
    let loaded: Any?
    do { loaded = try Yams.load(yaml: text) } catch {
      throw .invalid(source: source, option: "", reason: "no valid YAML: \(error)")
    }
    guard let values = (loaded ?? [String: Any]()) as? [String: Any] else {
      throw .invalid(source: source, option: "", reason: "a mapping of options to values is expected")
    }
    let known = Set(CodingKeys.allCases.map(\.rawValue)).union(["ordinary"])
    if let unknown = values.keys.sorted().first(where: { !known.contains($0) }) {
      throw .unknownOption(source: source, option: unknown, nearest: Self.nearest(to: unknown, in: known))
    }
    do {
      // The defaults as a dictionary, the file's values over them, decoded again: absent options keep defaults.
      let defaults = try JSONSerialization.jsonObject(with: JSONEncoder().encode(TrainingConfiguration()))
      var merged = defaults as? [String: Any] ?? [:]
      merged.merge(Self.canonical(values)) { $1 }
      guard JSONSerialization.isValidJSONObject(merged) else {
        throw ConfigurationError.invalid(
          source: source, option: "", reason: "a value is neither number nor text")
      }
      self = try JSONDecoder().decode(Self.self, from: JSONSerialization.data(withJSONObject: merged))
    } catch let error as DecodingError {
      throw .invalid(source: source, option: Self.option(of: error), reason: Self.reason(of: error))
    } catch let error as ConfigurationError {
      throw error
    } catch {
      throw .invalid(source: source, option: "", reason: "\(error)")
    }
  }

  /// Two flags say in their own way what one value holds: `ordinary` the opposite of `interpretable`, and
  /// `checkpoint-every: epoch` that there is no number of steps.
  private static func canonical(_ values: [String: Any]) -> [String: Any] {
    var result = values
    if let ordinary = result.removeValue(forKey: "ordinary") as? Bool { result["interpretable"] = !ordinary }
    if result["checkpoint-every"] as? String == "epoch" { result["checkpoint-every"] = nil }
    return result
  }

  /// The whole configuration as YAML.
  public func yaml() throws -> String {
    let encoder = YAMLEncoder()
    encoder.options.sortKeys = false
    return try encoder.encode(self)
  }

  /// Checks ranges that hold whatever the data are.
  ///
  /// - Throws: `ConfigurationError.invalid` for the first option that is out of its range.
  public func validate(ranks: Int) throws(ConfigurationError) {
    func require(_ holds: Bool, _ option: CodingKeys, _ reason: String) throws(ConfigurationError) {
      if !holds { throw .invalid(source: "options", option: option.rawValue, reason: reason) }
    }
    try require(
      shards.nonzeroBitCount == 1 && (1...4096).contains(shards), .shards,
      "\(shards) is no power of two up to 4096")
    try require(
      !reproducible || gradientExchange == .float32, .gradientExchange,
      "\(gradientExchange.rawValue) rounds at other places on other numbers of ranks; reproducible runs take float32"
    )
    let sharers = reproducible ? "shards" : "ranks"
    try require(
      batchSize >= ranks, .batchSize, "\(batchSize) images cannot be shared by \(ranks) \(sharers)")
    try require(accumulate >= 1, .accumulate, "\(accumulate) is below 1")
    try require(
      batchSize % accumulate == 0, .accumulate, "\(accumulate) does not divide the batch of \(batchSize)")
    try require(
      batchSize / accumulate >= ranks, .accumulate,
      "parts of \(batchSize / accumulate) images cannot be shared by \(ranks) \(sharers)")
    try require(
      (0...1000).contains(positivesPerCounterExample ?? 0), .positivesPerCounterExample,
      "\(positivesPerCounterExample ?? 0) is outside 0...1000")
    try require((epochs ?? 1) >= 1, .epochs, "\(epochs ?? 0) is below 1")
    try require((steps ?? 1) >= 1, .steps, "\(steps ?? 0) is below 1")
    try require((imageSize ?? 224) >= 16, .imageSize, "\(imageSize ?? 0) pixels; at least 16 are needed")
    try require((imageSize ?? 224) <= 4096, .imageSize, "\(imageSize ?? 0) pixels; at most 4096 make sense")
    try require((learningRate ?? 1) > 0, .learningRate, "\(learningRate ?? 0) is not positive")
    try require(momentum >= 0 && momentum < 1, .momentum, "\(momentum) is outside [0, 1)")
    try require((weightDecay ?? 0) >= 0, .weightDecay, "\(weightDecay ?? 0) is negative")
    try require((0..<1).contains(dropout ?? 0), .dropout, "\(dropout ?? 0) is outside [0, 1)")
    try require((filterLossWeight ?? 0) >= 0, .filterLossWeight, "\(filterLossWeight ?? 0) is negative")
    try require(
      filterLoss != .scaled || formulation != .paper || (filterLossWeight ?? 0) == 0, .filterLossWeight,
      "it scales the literal form (filter-loss: literal); the scaled form has filter-gradient-share")
    try require(
      maskScale != .none || formulation == .paper, .maskScale,
      "the released code has its own mask (formulation: \(formulation.rawValue)); only the paper's can be left out"
    )
    try require(
      (widths ?? [:]).values.allSatisfy { (1...65_536).contains($0) }, .widths, "a width is outside 1...65536"
    )
    try require(scoreScale > 0 && scoreScale <= 1e6, .scoreScale, "\(scoreScale) is outside (0, 1e6]")
    try require(
      (0...1e6).contains(filterGradientShare ?? 0), .filterGradientShare,
      "\(filterGradientShare ?? 0) is outside [0, 1e6]")
    try require(
      (0...1e6).contains(filterLossWarmupEpochs ?? 0), .filterLossWarmupEpochs,
      "\(filterLossWarmupEpochs ?? 0) is outside [0, 1e6]")
    try require((0...1).contains(cropMargin), .cropMargin, "\(cropMargin) is outside [0, 1]")
    try require(
      (0..<1).contains(scaleJitter ?? 0), .scaleJitter, "\(scaleJitter ?? 0) is outside [0, 1)")
    try require(
      (0...1).contains(colorJitter ?? 0), .colorJitter, "\(colorJitter ?? 0) is outside [0, 1]")
    try require(validateEvery >= 1, .validateEvery, "\(validateEvery) is below 1")
    try require(keepCheckpoints >= 1, .keepCheckpoints, "\(keepCheckpoints) is below 1")
    try require((checkpointEverySteps ?? 1) >= 1, .checkpointEverySteps, "must be at least 1")
    switch bucketSize {
    case .automatic:
      try require(
        !reproducible, .bucketSize,
        "the sums of reproducible runs are not modelled; auto is for others, these take a number")
    case .mebibytes(let size):
      try require(size > 0 && size <= 65_536, .bucketSize, "\(size) MiB are outside (0, 65536]")
    }
    try require(warmupEpochs >= 0, .warmupEpochs, "\(warmupEpochs) is negative")
    try require(stepEpochs >= 1, .stepEpochs, "\(stepEpochs) is below 1")
    try require(loaderThreads >= 1, .loaderThreads, "\(loaderThreads) is below 1")
  }

  private static func option(of error: DecodingError) -> String {
    switch error {
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
      context.codingPath.first?.stringValue ?? ""
    case .keyNotFound(let key, _): key.stringValue
    @unknown default: ""
    }
  }

  private static func reason(of error: DecodingError) -> String {
    switch error {
    case .typeMismatch(let type, _): "a value of type \(type) is expected"
    case .dataCorrupted(let context): context.debugDescription
    default: "the value is missing"
    }
  }

  /// The known option with the smallest edit distance, if it is near enough to be a typing error.
  private static func nearest(to word: String, in known: Set<String>) -> String? {
    let distances = known.sorted().map { ($0, editDistance(word, $0)) }
    return distances.min { $0.1 < $1.1 }.flatMap { $0.1 <= 3 ? $0.0 : nil }
  }

  private static func editDistance(_ a: String, _ b: String) -> Int {
    let a = Array(a)
    let b = Array(b)
    var row = Array(0...b.count)
    for i in 1...max(a.count, 1) where i <= a.count {
      var diagonal = row[0]
      row[0] = i
      for j in 1...max(b.count, 1) where j <= b.count {
        let next = min(row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1))
        diagonal = row[j]
        row[j] = next
      }
    }
    return row[b.count]
  }
}
