import CKernels
import Tensors

/// Sets a share of the values to zero in training and scales the others by 1 / (1 − rate) (Srivastava et al., JMLR
/// 2014; "inverted"); in evaluation y = x. Any shape and layout.
///
/// Whether a value is dropped is a pure function of (seed, epoch, sample key, layer name, place in the image's memory):
/// neither threads, ranks, batches nor a resumed training change it. Works in place, so the layer before must not need
/// its own output in backward, unless it is a ReLU: a dropped value has no gradient in either.
public final class Dropout: Layer {
  /// Unique in its network; part of the name of the random stream.
  public let name: String
  /// Share of the values that are dropped, in 0 ..< 1.
  public let rate: Double
  /// In place, so it costs nothing and is always there.
  public var needsInputGradient = true
  private let nameHash: UInt64
  private var droppedInForward = false

  /// A dropout of that rate.
  public init(_ name: String, rate: Double) {
    precondition((0..<1).contains(rate), "Dropout \(name): the rate \(rate) is not in 0 ..< 1")
    self.name = name
    self.rate = rate
    nameHash = StableHash.of(name)
  }

  /// The input's.
  public func outputShape(for input: Shape) -> Shape { input }

  /// In place both ways; backward reads neither x nor y.
  public func memory(for input: Shape) -> LayerMemory {
    LayerMemory(
      output: .input, backwardReadsInput: false, backwardReadsOutput: false, backwardWorksInPlace: true)
  }

  /// y = mask · x / (1 − rate), in place. Needs `context.sampleKeys`, one per image.
  public func forward(_ x: Tensor, _ context: StepContext) -> Tensor {
    droppedInForward = context.isTraining && rate > 0
    if droppedInForward { applyMask(to: x, context) }
    return x
  }

  /// dx = mask · dy / (1 − rate), in place; the mask is drawn anew.
  public func backward(_ dy: Tensor, _ context: StepContext) -> Tensor? {
    if droppedInForward { applyMask(to: dy, context) }
    return dy
  }

  private func applyMask(to x: Tensor, _ context: StepContext) {
    precondition(
      context.sampleKeys.count == x.shape.batch,
      "Dropout \(name): \(context.sampleKeys.count) sample keys for \(x.shape.batch) images")
    // The odd factor keeps (name, epoch) pairs apart; `key` mixes what it is given.
    let stream = nameHash &+ UInt64(context.epoch) &* 0x9E37_79B9_7F4A_7C15
    context.sampleKeys.withUnsafeBufferPointer { keys in
      ck_dropout(
        RandomSource.key(seed: context.seed, purpose: .dropout, stream), keys.baseAddress,
        Int64(x.shape.batch), Int64(x.imageStride), UInt32((rate * 0x1p32).rounded(.down)),
        Float(1 / (1 - rate)), x.pointer)
    }
  }
}
