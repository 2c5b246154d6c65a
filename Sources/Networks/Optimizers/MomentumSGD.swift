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
  /// All v, in the order of the arena (a parameter's lie at its offset); a checkpoint keeps them.
  public let velocities: UnsafeMutableBufferPointer<Float>
  private let store: ParameterStore
  private let share: UpdateShare
  private let ownedVelocities: AlignedBuffer<Float>
  // Of this rank's share; those whose gradients may be kept as factors come last.
  private let ranges: [ck_update_range_t]
  private let writtenRangeCount: Int
  private let factored: [FactoredPart]

  // Floats in one piece of work; a multiple of 16, so that no two threads share a cache line.
  private static let pieceLength = 16384

  /// Zero velocities for the parameters of a store. Their multipliers are read here, once.
  /// - Parameter share: what this rank does of each update; by default all of it.
  public init(
    _ store: ParameterStore, momentum: Float = 0.9, weightDecay: Float = 5e-4, share: UpdateShare? = nil
  ) {
    self.store = store
    self.momentum = momentum
    self.weightDecay = weightDecay
    ownedVelocities = AlignedBuffer(count: store.velocityArena == nil ? store.count : 0)
    velocities = UnsafeMutableBufferPointer(
      start: store.velocityArena ?? ownedVelocities.pointer, count: store.count)
    let share =
      share
      ?? UpdateShare(
        range: 0..<store.count, gradients: [UnsafePointer(store.gradients.baseAddress)])
    self.share = share
    let pieces = { (parameter: Parameter) in
      let mine = parameter.range(in: share)
      return stride(from: mine.lowerBound, to: mine.upperBound, by: Self.pieceLength).map {
        ck_update_range_t(
          offset: Int64($0), count: Int64(min(Self.pieceLength, mine.upperBound - $0)),
          learningRateMultiplier: parameter.learningRateMultiplier,
          weightDecayMultiplier: parameter.weightDecayMultiplier)
      }
    }
    factored = store.parameters.compactMap { parameter in
      parameter.factors.map { factors in
        let mine = parameter.range(in: share)
        return FactoredPart(
          parameter: parameter, factors: factors,
          range: mine.lowerBound - parameter.offset..<mine.upperBound - parameter.offset)
      }
    }
    let written = store.parameters.filter { $0.factors == nil }.flatMap(pieces)
    writtenRangeCount = written.count
    ranges = written + store.parameters.filter { $0.factors != nil }.flatMap(pieces)
  }

  /// This rank's share of one step down the gradients.
  ///
  /// Where a gradient is NaN or infinite the arena is left as it is, so that the values stay finite.
  /// - Parameter factorImages: images of the global batch, whose factors backward has kept where it could; nil: it has
  ///   written all gradients.
  /// - Returns: a parameter that holds such a gradient in this rank's share, or nil if all are finite.
  public func update(learningRate: Float, factorImages: Int? = nil) -> Parameter? {
    let broken = ranges.withUnsafeBufferPointer { ranges in
      share.gradients.withUnsafeBufferPointer { gradients in
        var update = ck_update_t(
          ranges: ranges.baseAddress,
          rangeCount: Int64(factorImages == nil ? ranges.count : writtenRangeCount),
          values: store.values.baseAddress,
          velocities: velocities.baseAddress, gradients: gradients.baseAddress,
          gradientCount: Int64(gradients.count))
        return ck_momentum_update(&update, learningRate, momentum, weightDecay)
      }
    }
    var brokenFactors: Parameter?
    if let factorImages {
      brokenFactors = updateByFactors(learningRate: learningRate, images: factorImages)
    }
    guard broken >= 0 else { return brokenFactors }
    let offset = Int(ranges[Int(broken)].offset)
    return store.parameters.last { $0.offset <= offset }
  }

  private func updateByFactors(learningRate: Float, images: Int) -> Parameter? {
    var broken: Parameter?
    for index in factored.indices {
      let part = factored[index]
      let allFinite = part.factors.update(
        part.range, values: part.parameter.values,
        velocities: velocities.baseAddress! + part.parameter.offset,
        learningRate: learningRate * part.parameter.learningRateMultiplier, momentum: momentum,
        weightDecay: weightDecay * part.parameter.weightDecayMultiplier, images: images)
      if !allFinite && broken == nil { broken = part.parameter }
    }
    return broken
  }

  /// What of a parameter with factors lies in this rank's share.
  private struct FactoredPart {
    let parameter: Parameter
    let factors: GradientFactors
    let range: Range<Int>
  }
}

extension Parameter {
  /// What of it lies in a rank's share; empty, but within the parameter, if nothing does.
  fileprivate func range(in share: UpdateShare) -> Range<Int> {
    (offset..<offset + storedCount).clamped(to: share.range)
  }
}
