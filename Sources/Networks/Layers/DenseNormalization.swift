import CKernels
import Tensors

/// Batch normalisation and ReLU of all maps of a dense block so far: blocked maps of the newest slice [N, c, H, W] →
/// y [N, C, H, W], C being the channels of that slice and of all before it,
///
///     y = max(gamma · (x − mean) / √(variance + epsilon) + beta, 0),
///
/// x being the concatenation. The statistics are those of `BatchNormalization`, found once for each slice (`DenseFeatures`).
/// The output may be overwritten before backward and made again by `normalizeAgain`.
public final class DenseNormalization: Layer {
  /// Unique in its network.
  public let name: String
  /// C.
  public let channels: Int
  /// Added to the variance.
  public let epsilon: Double
  /// Weight of a batch in the running statistics.
  public let momentum: Double
  /// gamma [C], at first 1.
  public let weight: Parameter
  /// beta [C].
  public let bias: Parameter
  /// Running statistics [C], at first 0 and 1.
  public let runningMean: LayerState, runningVariance: LayerState
  /// The gradient goes into the block's; it is always made.
  public var needsInputGradient = true

  let output = OutputBuffer()
  private let features: DenseFeatures
  private let slice: Int
  private let stored: Int
  private var normalized: Tensor?
  // Of the last forward: 1 / √(variance + epsilon), and the part of the mean that its Float does not hold.
  private let inverseDeviation: AlignedBuffer<Double>
  private let meanRemainder: AlignedBuffer<Double>
  // offset, scale and shift of y = max((x − offset)·scale + shift, 0).
  private let factors: AlignedBuffer<Float>

  /// Parameters NAME.weight and NAME.bias, states NAME.running_mean and NAME.running_var, as in PyTorch's files; of the
  /// slices up to one.
  init(_ name: String, _ features: DenseFeatures, slice: Int, epsilon: Double = 1e-5, momentum: Double = 0.1)
  {
    self.name = name
    self.features = features
    self.slice = slice
    self.epsilon = epsilon
    self.momentum = momentum
    channels = features.starts[slice + 1]
    weight = Parameter("\(name).weight", shape: [channels], layout: .blockedVector, weightDecayMultiplier: 0)
    weight.initializer = .constant(1)
    bias = Parameter("\(name).bias", shape: [channels], layout: .blockedVector, weightDecayMultiplier: 0)
    runningMean = LayerState("\(name).running_mean", shape: [channels])
    runningVariance = LayerState("\(name).running_var", shape: [channels], initial: 1)
    stored = weight.storedCount
    inverseDeviation = AlignedBuffer(count: stored)
    meanRemainder = AlignedBuffer(count: stored)
    factors = AlignedBuffer(count: 3 * stored)
  }

  /// gamma and beta.
  public var parameters: [Parameter] { [weight, bias] }
  /// The running mean and variance.
  public var states: [LayerState] { [runningMean, runningVariance] }

  /// [N, c, H, W] → [N, C, H, W].
  public func outputShape(for input: Shape) -> Shape {
    precondition(
      input.channels == features.widths[slice],
      "\(name): \(features.widths[slice]) new channels are needed, not \(input)")
    return features.shape(slices: slice + 1, like: input)
  }

  /// Backward reads the slices, for which the block answers.
  public func memory(for input: Shape) -> LayerMemory {
    LayerMemory(output: .buffer(output, .blocked), backwardReadsInput: false, backwardReadsOutput: false)
  }

  /// Takes x as the next slice and normalises all of them.
  ///
  /// Throws what the exchange throws. In training every rank takes part in it, also one without images.
  public func forward(_ x: Tensor, _ context: StepContext) throws -> Tensor {
    let y = output.prepare(outputShape(for: x.shape), .blocked, capacity: x.capacity)
    try features.append(x, slice: slice, context)
    if !context.isRecomputing { findFactors() }
    normalized = y
    normalizeAgain()
    return y
  }

  /// Writes the output of the last forward where it was.
  func normalizeAgain() {
    guard let y = normalized else { preconditionFailure("\(name): again without a forward") }
    ck_dense_normalize(
      Int64(y.shape.batch), Int64(y.shape.blocks), Int64(y.shape.cells), features.blocks.pointer, offset,
      scale,
      shift, y.pointer)
  }

  /// With g = dy where y > 0: dbeta += Σ g and dgamma += Σ g·xhat over the local share (parameter gradients are summed over
  /// ranks later), and g's part of the gradients of all slices. Returns that of the newest one, which is then complete.
  public func backward(_ dy: Tensor, _ context: StepContext) throws -> Tensor? {
    precondition(
      dy.shape.channels == channels && dy.layout == .blocked,
      "\(name): dy \(dy.shape) does not follow \(channels) channels")
    features.accumulate(dy, offset: offset, scale: scale, shift: shift)
    let sums = features.backwardSums.pointer
    for c in 0..<channels {
      let inverse = inverseDeviation.pointer[c]
      let product = (sums[stored + c] - meanRemainder.pointer[c] * sums[c]) * inverse
      bias.gradients[c] += Float(sums[c])
      weight.gradients[c] += Float(product)
      let slope = Double(weight.values[c]) * inverse
      features.addPull(c, sum: slope * sums[c], product: slope * inverse * product)
    }
    return try features.takeGradient(slice: slice, context)
  }

  /// Moves the running statistics by what the slices' sums say of the global batch.
  func updateRunningStatistics() {
    let count = features.summedCount
    for c in 0..<channels {
      let (mean, variance) = features.moments(c)
      // One value alone has no unbiased variance; its biased one, 0, is taken.
      let unbiased = count > 1 ? variance * count / (count - 1) : variance
      runningMean.values[c] += momentum * (mean - runningMean.values[c])
      runningVariance.values[c] += momentum * (unbiased - runningVariance.values[c])
    }
  }

  private var offset: UnsafeMutablePointer<Float> { factors.pointer }
  private var scale: UnsafeMutablePointer<Float> { factors.pointer + stored }
  private var shift: UnsafeMutablePointer<Float> { factors.pointer + 2 * stored }

  /// From the batch's statistics, or from the running ones.
  private func findFactors() {
    let isBatch = features.normalizesByBatch
    for c in 0..<channels {
      let mean = isBatch ? features.mean.pointer[c] : runningMean.values[c]
      let variance = isBatch ? features.variance.pointer[c] : runningVariance.values[c]
      let inverse = 1 / (variance + epsilon).squareRoot()
      let slope = Double(weight.values[c]) * inverse
      inverseDeviation.pointer[c] = inverse
      meanRemainder.pointer[c] = mean - Double(Float(mean))
      offset[c] = Float(mean)
      scale[c] = Float(slope)
      shift[c] = Float(Double(bias.values[c]) - meanRemainder.pointer[c] * slope)
    }
  }
}
