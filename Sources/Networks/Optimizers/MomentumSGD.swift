import CKernels
import Tensors

/// Stochastic gradient descent with momentum and weight decay, one pass over the arenas.
///
/// Per value, with the parameter's multipliers r and d:
///     g = gradient + weightDecay · d · w
///     v = momentum · v − g
///     w = w + learningRate · r · v
/// v does not contain the learning rate (the form of the authors' code), so a change of rate acts at once on what has
/// gathered. Gradients must already be those of the mean over the global batch. Padding of the arenas stays zero.
public final class MomentumSGD {
  /// Share of the velocity that a step keeps.
  public let momentum: Float
  /// Pull towards zero, before the parameters' multipliers.
  public let weightDecay: Float
  private let store: ParameterStore
  private let velocityArena: AlignedBuffer<Float>
  private let ranges: [ck_update_range_t]

  // Floats in one piece of work; a multiple of 16, so that no two threads share a cache line.
  private static let pieceLength = 16384

  /// Zero velocities for the parameters of a store. Their multipliers are read here, once.
  public init(_ store: ParameterStore, momentum: Float = 0.9, weightDecay: Float = 5e-4) {
    self.store = store
    self.momentum = momentum
    self.weightDecay = weightDecay
    velocityArena = AlignedBuffer(count: store.count)
    var ranges: [ck_update_range_t] = []
    for parameter in store.parameters {
      for first in stride(from: 0, to: parameter.storedCount, by: Self.pieceLength) {
        ranges.append(
          ck_update_range_t(
            offset: Int64(parameter.offset + first),
            count: Int64(min(Self.pieceLength, parameter.storedCount - first)),
            learningRateMultiplier: parameter.learningRateMultiplier,
            weightDecayMultiplier: parameter.weightDecayMultiplier))
      }
    }
    self.ranges = ranges
  }

  /// All v, in the order of the arena (a parameter's lie at its offset); a checkpoint keeps them.
  public var velocities: UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(start: velocityArena.pointer, count: velocityArena.count)
  }

  /// One step down the gradients of the store.
  ///
  /// A piece of the arena with a gradient that is NaN or infinite is left as it is, so that the values stay finite.
  /// - Returns: the parameter that holds the first such gradient, or nil if all are finite.
  public func update(learningRate: Float) -> Parameter? {
    let broken = ranges.withUnsafeBufferPointer {
      ck_momentum_update(
        $0.baseAddress, Int64($0.count), store.values.baseAddress, store.gradients.baseAddress,
        velocityArena.pointer, learningRate, momentum, weightDecay)
    }
    guard broken >= 0 else { return nil }
    let offset = Int(ranges[Int(broken)].offset)
    return store.parameters.last { $0.offset <= offset }
  }
}
