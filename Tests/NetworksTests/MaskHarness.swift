import Tensors
import TestSupport

@testable import Networks

/// One training step of an interpretable mask on a global batch, on one rank or cut over several.
struct MaskHarness: Sendable {
  /// [N, C, H, W] of the global batch.
  var shape: Shape
  /// Maps and arriving gradients, [N, C, H, W].
  var x: [Float]
  var upstream: [Float]
  /// Class of every image.
  var classes: [Int]
  var classCount: Int
  /// ±1 per image and label, [N, L]; by default one label per class.
  var signs: [Float]?
  var labelShares: [Double] = []
  var options = InterpretableOptions()
  var ownedCategories: Int?
  var filterTypes: [UInt8]?
  var epoch = 1
  var epochsDone = 0.0
  var epochsInRun = 1.0
  var batchesPerEpoch = 1
  var isTraining = true
  /// Called with each rank's new layer, whose parameters have their first values, to set its states.
  var prepare: @Sendable (InterpretableMask) -> Void = { _ in }

  /// Everything a step produces, in the order of the global batch.
  struct Outcome: Sendable {
    var y: [Float] = []
    var dx: [Float] = []
    var rows: [Float] = []
    var columns: [Float] = []
    var logLikelihoods: [Double] = []
    var deviations: [Double] = []
    /// Of each rank.
    var reports: [FilterReport] = []
    var categories: [[Int32]] = []
    /// Sum over the ranks of the parameters' gradients.
    var parameterGradients: [Float] = []
    /// Of rank 0.
    var states: [String: [Double]] = [:]
    var termsPerFilter: [[Double]] = []
    var logNormalizers: [Double] = []
  }

  var labels: Int { signs.map { $0.count / max(shape.batch, 1) } ?? classCount }

  /// A layer of this configuration with its own parameter memory.
  func makeLayer() -> (InterpretableMask, ParameterStore) {
    let layer = InterpretableMask(
      "mask", shape: shape.with(batch: 1), categories: classCount, outputs: labels,
      ownedCategories: ownedCategories ?? classCount, options: options, filterTypes: filterTypes)
    let store = ParameterStore(layer.parameters)
    store.initialize(seed: 1)
    prepare(layer)
    return (layer, store)
  }

  /// Sets the context's fields for the images `first..<first + count`.
  func fill(_ context: StepContext, first: Int, count: Int) {
    let images = first..<first + count
    context.mode = isTraining ? .training : .evaluation
    context.epoch = epoch
    context.epochsDone = epochsDone
    context.epochsInRun = epochsInRun
    context.batchesPerEpoch = batchesPerEpoch
    context.globalBatchSize = shape.batch
    context.shareOffset = first
    context.categories = images.map { Int32(classes[$0]) }
    context.categoryCount = classCount
    let labels = labels
    context.signs = images.flatMap { n in
      (0..<labels).map { signs?[n * labels + $0] ?? (classes[n] == $0 ? 1 : -1) }
    }
    context.labelShares = labelShares
  }

  /// One step of one rank.
  func step(_ layer: InterpretableMask, _ context: StepContext, first: Int, count: Int) throws -> Outcome {
    fill(context, first: first, count: count)
    let share = { (values: [Float]) in
      Array(values[first * shape.features..<(first + count) * shape.features])
    }
    let input = Tensor(shape.with(batch: count), .blocked)
    input.fill(from: share(x))
    var outcome = Outcome()
    outcome.y = try layer.forward(input, context).toArray()
    for n in 0..<count {
      for filter in 0..<shape.channels {
        outcome.rows.append(layer.mask.rows.pointer[n * layer.mask.lanes + filter])
        outcome.columns.append(layer.mask.columns.pointer[n * layer.mask.lanes + filter])
      }
    }
    guard isTraining else { return outcome }
    let dy = Tensor(shape.with(batch: count), .blocked)
    dy.fill(from: share(upstream))
    outcome.dx = try layer.backward(dy, context)?.toArray() ?? []
    outcome.reports = [layer.report]
    outcome.parameterGradients = layer.parameters.flatMap { $0.exportGradients() }
    for state in layer.states { outcome.states[state.name] = Array(state.values) }
    if let paper = layer.filterLoss as? PaperFilterLoss {
      outcome.categories = [paper.assignment.categories]
      if options.filterLossEnabled {
        outcome.termsPerFilter = (0..<3).map { paper.termsPerFilter($0) }
        outcome.logNormalizers = paper.logNormalizers()
        outcome.logLikelihoods = paper.logLikelihoods(images: count)
      }
    } else if let released = layer.filterLoss as? ReleasedFilterLoss {
      outcome.deviations = released.deviations(images: count)
      outcome.categories = [released.groups]
    }
    return outcome
  }

  /// The last of some steps of a fresh layer on one rank, all on the same batch.
  func run(steps: Int = 1) throws -> Outcome {
    try run(steps, StepContext(), first: 0, count: shape.batch)
  }

  private func run(_ steps: Int, _ context: StepContext, first: Int, count: Int) throws -> Outcome {
    let (layer, store) = makeLayer()
    return try withExtendedLifetime(store) {
      for _ in 1..<steps { _ = try step(layer, context, first: first, count: count) }
      return try step(layer, context, first: first, count: count)
    }
  }

  /// The same with fresh layers on as many ranks as there are shares, which say how many images each holds.
  func run(shares: [Int], steps: Int = 1) throws -> Outcome {
    precondition(shares.reduce(0, +) == shape.batch)
    let outcomes = try ThreadedStatistics.run(shares.count) { rank, exchange in
      try run(
        steps, StepContext(exchange: exchange), first: shares[..<rank].reduce(0, +), count: shares[rank])
    }
    var all = outcomes[0]
    for other in outcomes.dropFirst() {
      all.y += other.y
      all.dx += other.dx
      all.rows += other.rows
      all.columns += other.columns
      all.logLikelihoods += other.logLikelihoods
      all.deviations += other.deviations
      all.reports += other.reports
      all.categories += other.categories
      all.parameterGradients = zip(all.parameterGradients, other.parameterGradients).map { $0 + $1 }
    }
    return all
  }

  /// Ways to cut the batch over 1, 2, 3 and 4 ranks: even, uneven, with an empty rank at every place.
  var cuts: [[Int]] {
    let n = shape.batch
    return [
      [n], [n / 2, n - n / 2], [0, n], [n, 0], [1, n - 1], [n / 3, 0, n - n / 3],
      [1, n / 2, n - 1 - n / 2].filter { $0 >= 0 }, [0, n / 4, n - n / 4, 0],
      [n / 4, n / 4, n / 4, n - n / 4 * 3],
    ].filter { $0.reduce(0, +) == n }
  }
}

/// max |a − b| / max |b|, with a floor under the denominator.
func relativeDifference(
  _ a: [some BinaryFloatingPoint], _ b: [some BinaryFloatingPoint], floor: Double = 1e-300
)
  -> Double
{
  precondition(a.count == b.count, "\(a.count) values against \(b.count)")
  let scale = b.reduce(floor) { max($0, abs(Double($1))) }
  return zip(a, b).reduce(0) { worst, pair in
    let difference = abs(Double(pair.0) - Double(pair.1))
    return difference.isNaN ? .infinity : max(worst, difference / scale)
  }
}
