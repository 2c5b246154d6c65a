import CKernels
import Tensors

/// Batch normalisation per channel (Ioffe & Szegedy, ICML 2015): blocked [N, C, H, W] → the same.
///
/// Training: y = gamma · (x − mean) / √(variance + epsilon) + beta with mean and (biased) variance over all images and
/// cells: those of the global batch if `synchronized`, else of this rank's share. Evaluation: the running ones.
///
/// Statistics are Σx, Σx² and the count, in Double: the square of a Float is exact there, so that Σx²/n − mean² is more
/// precise than the input itself, whatever |mean| / deviation. They travel as sums, so shares may differ or be empty.
/// The running statistics are those of the global batch in either case, hence equal on all ranks: each batch moves
/// them by `momentum`, the variance as n / (n − 1) times the biased one (PyTorch).
public final class BatchNormalization: Layer, RectifyingOutput {
  /// Unique in its network.
  public let name: String
  /// C.
  public let channels: Int
  /// Added to the variance.
  public let epsilon: Double
  /// Weight of a batch in the running statistics.
  public let momentum: Double
  /// Whether the statistics of the global batch normalise, or those of this rank's share.
  public let synchronized: Bool
  /// gamma [C], at first 1.
  public let weight: Parameter
  /// beta [C].
  public let bias: Parameter
  /// Running statistics [C], at first 0 and 1.
  public let runningMean: LayerState, runningVariance: LayerState
  /// False for a first layer.
  public var needsInputGradient = true
  /// The output passes through a ReLU on its way to memory: y = max(…, 0).
  public var rectifies = false

  private let output = OutputBuffer()
  private var lastInput: Tensor?
  private var normalizedByBatch = false
  private var pending: StatisticsTicket?
  // Padded channel count; every per-channel array below has this stride.
  private let stored: Int
  private var partials = AlignedBuffer<Double>(count: 0)
  // [Σx, Σx², count] of forward, reduced over the ranks; [Σdy, Σdy·xhat] of backward.
  private let forwardSums: AlignedBuffer<Double>
  private let backwardSums: AlignedBuffer<Double>
  // 1 / √(variance + epsilon) and the part of the mean that its Float does not hold.
  private let inverseDeviation: AlignedBuffer<Double>
  private let meanRemainder: AlignedBuffer<Double>
  private let offset: AlignedBuffer<Float>
  private let zeros: AlignedBuffer<Float>
  // Per-channel factors of the pass over memory: scale and shift forward; dyScale, xScale and shift backward.
  private let factors: AlignedBuffer<Float>
  private var countInStatistics = 0.0

  /// Parameters NAME.weight and NAME.bias, states NAME.running_mean and NAME.running_var, as in PyTorch's files.
  public init(
    _ name: String, channels: Int, epsilon: Double = 1e-5, momentum: Double = 0.1, synchronized: Bool = true
  ) {
    self.name = name
    self.channels = channels
    self.epsilon = epsilon
    self.momentum = momentum
    self.synchronized = synchronized
    weight = Parameter("\(name).weight", shape: [channels], layout: .blockedVector, weightDecayMultiplier: 0)
    weight.initializer = .constant(1)
    bias = Parameter("\(name).bias", shape: [channels], layout: .blockedVector, weightDecayMultiplier: 0)
    runningMean = LayerState("\(name).running_mean", shape: [channels])
    runningVariance = LayerState("\(name).running_var", shape: [channels], initial: 1)
    stored = weight.storedCount
    forwardSums = AlignedBuffer(count: 2 * stored + 1)
    backwardSums = AlignedBuffer(count: 2 * stored)
    inverseDeviation = AlignedBuffer(count: stored)
    meanRemainder = AlignedBuffer(count: stored)
    offset = AlignedBuffer(count: stored)
    zeros = AlignedBuffer(count: stored)
    factors = AlignedBuffer(count: 3 * stored)
  }

  /// gamma and beta.
  public var parameters: [Parameter] { [weight, bias] }
  /// The running mean and variance.
  public var states: [LayerState] { [runningMean, runningVariance] }

  /// The input's, which must have C channels.
  public func outputShape(for input: Shape) -> Shape {
    precondition(input.channels == channels, "\(name): \(channels) channels are needed, not \(input)")
    return input
  }

  /// Backward reads x.
  public func memory(for input: Shape) -> LayerMemory {
    LayerMemory(
      output: .buffer(output, .blocked), backwardReadsOutput: false,
      keptBytes: input.batch * stored * 2 * MemoryLayout<Double>.stride)
  }

  /// y = gamma · (x − mean) / √(variance + epsilon) + beta. Keeps x, which nobody may overwrite before backward.
  ///
  /// Throws what the exchange throws. In training every rank takes part in it, also one without images.
  public func forward(_ x: Tensor, _ context: StepContext) throws -> Tensor {
    precondition(x.layout == .blocked, "\(name): blocked maps are needed, not \(x.layout)")
    let y = output.prepare(outputShape(for: x.shape), .blocked, capacity: x.capacity)
    lastInput = x
    if !context.isRecomputing { try findStatistics(x, context) }
    let (scale, shift) = (factors.pointer, factors.pointer + stored)
    for c in 0..<channels {
      let slope = Double(weight.values[c]) * inverseDeviation.pointer[c]
      scale[c] = Float(slope)
      shift[c] = Float(Double(bias.values[c]) - meanRemainder.pointer[c] * slope)
    }
    ck_channel_affine(
      Int64(x.shape.batch), Int64(x.shape.blocks), Int64(x.shape.cells), x.pointer, offset.pointer, scale,
      shift, rectifies ? 1 : 0, y.pointer)
    return y
  }

  /// With xhat = (x − mean) / √(variance + epsilon) and n the count of the statistics:
  /// dbeta += Σdy and dgamma += Σdy·xhat over the local share (parameter gradients are summed over ranks later);
  /// dx = gamma / √(variance + epsilon) · (dy − Σdy / n − xhat · Σdy·xhat / n), these sums over all that was normalised
  /// together. After an evaluation forward the statistics are constants and both sums drop out.
  public func backward(_ dy: Tensor, _ context: StepContext) throws -> Tensor? {
    guard let x = lastInput, dy.shape == x.shape, dy.layout == .blocked else {
      preconditionFailure("\(name): dy \(dy.shape) does not follow x \(lastInput?.shape as Any)")
    }
    let (batch, blocks, cells) = (Int64(x.shape.batch), Int64(x.shape.blocks), Int64(x.shape.cells))
    let sums = backwardSums.pointer
    reservePartials(x)
    ck_channel_moments(batch, blocks, cells, dy.pointer, x.pointer, offset.pointer, partials.pointer, sums)
    for c in 0..<channels {
      // Σdy·(x − offset) → Σdy·xhat.
      sums[stored + c] = (sums[stored + c] - meanRemainder.pointer[c] * sums[c]) * inverseDeviation.pointer[c]
      bias.gradients[c] += Float(sums[c])
      weight.gradients[c] += Float(sums[stored + c])
    }
    try finishRunningStatistics(context)
    guard needsInputGradient else { return nil }
    if normalizedByBatch && synchronized {
      try context.exchange.reduce(UnsafeMutableBufferPointer(start: sums, count: 2 * stored), .sum)
    }
    let count = max(countInStatistics, 1)
    let (dyScale, xScale, shift) = (factors.pointer, factors.pointer + stored, factors.pointer + 2 * stored)
    for c in 0..<channels {
      let slope = Double(weight.values[c]) * inverseDeviation.pointer[c]
      let meanDY = normalizedByBatch ? sums[c] / count : 0
      let meanProduct = normalizedByBatch ? sums[stored + c] / count : 0
      let pull = -slope * inverseDeviation.pointer[c] * meanProduct
      dyScale[c] = Float(slope)
      xScale[c] = Float(pull)
      shift[c] = Float(-slope * meanDY - pull * meanRemainder.pointer[c])
    }
    let dx = context.gradientPool.take(x.shape, .blocked, capacity: x.capacity)
    ck_channel_affine2(
      batch, blocks, cells, dy.pointer, x.pointer, offset.pointer, dyScale, xScale, shift, dx.pointer)
    return dx
  }

  /// The statistics that this forward normalises with.
  private func findStatistics(_ x: Tensor, _ context: StepContext) throws {
    try finishRunningStatistics(context)
    normalizedByBatch = context.isTraining
    if context.isTraining {
      try gatherStatistics(x, context)
    } else {
      for c in 0..<channels {
        setStatistics(c, mean: runningMean.values[c], variance: runningVariance.values[c])
      }
    }
  }

  /// Statistics of this batch, exchanged; starts or makes the update of the running ones.
  private func gatherStatistics(_ x: Tensor, _ context: StepContext) throws {
    let sums = forwardSums.pointer
    reservePartials(x)
    ck_channel_moments(
      Int64(x.shape.batch), Int64(x.shape.blocks), Int64(x.shape.cells), x.pointer, x.pointer, zeros.pointer,
      partials.pointer, sums)
    sums[2 * stored] = Double(x.shape.batch * x.shape.cells)
    let values = UnsafeMutableBufferPointer(start: sums, count: 2 * stored + 1)
    if synchronized {
      try context.exchange.reduce(values, .sum)
      setStatisticsFromSums()
      updateRunningStatistics()
    } else {
      // Only the running statistics need the other ranks: their sums travel while the step goes on.
      setStatisticsFromSums()
      pending = try context.exchange.start(values, .sum)
    }
  }

  /// Waits for the sums of the last forward, if they are still under way.
  func finishRunningStatistics(_ context: StepContext) throws {
    guard let ticket = pending else { return }
    pending = nil
    try context.exchange.finish(ticket)
    updateRunningStatistics()
  }

  /// Mean and biased variance of a channel; 0 and 0 if nothing was counted.
  private func moments(_ c: Int) -> (mean: Double, variance: Double) {
    let count = max(forwardSums.pointer[2 * stored], 1)
    let mean = forwardSums.pointer[c] / count
    let variance = forwardSums.pointer[stored + c] / count - mean * mean
    // A negative difference is rounding; NaN must stay NaN.
    return (mean, variance < 0 ? 0 : variance)
  }

  private func setStatisticsFromSums() {
    countInStatistics = forwardSums.pointer[2 * stored]
    for c in 0..<channels {
      let (mean, variance) = moments(c)
      setStatistics(c, mean: mean, variance: variance)
    }
  }

  private func setStatistics(_ c: Int, mean: Double, variance: Double) {
    offset.pointer[c] = Float(mean)
    meanRemainder.pointer[c] = mean - Double(Float(mean))
    inverseDeviation.pointer[c] = 1 / (variance + epsilon).squareRoot()
  }

  private func updateRunningStatistics() {
    let count = forwardSums.pointer[2 * stored]
    guard count > 0 else { return }
    for c in 0..<channels {
      let (mean, variance) = moments(c)
      // One value alone has no unbiased variance; its biased one, 0, is taken.
      let unbiased = count > 1 ? variance * count / (count - 1) : variance
      runningMean.values[c] += momentum * (mean - runningMean.values[c])
      runningVariance.values[c] += momentum * (unbiased - runningVariance.values[c])
    }
  }

  private func reservePartials(_ x: Tensor) {
    let needed = x.shape.batch * stored * 2
    if partials.count < needed {
      partials = AlignedBuffer(count: max(x.capacity, x.shape.batch) * stored * 2)
    }
  }
}
