import Glibc

/// How strongly the filter gradient acts: its RMS over the layer is ρ_t times that of the task gradient. ρ_t = ρ/t with t the
/// epoch from 1, not counting `warmupEpochs`, in which it is 0: filters that have learned nothing yet have no category, and
/// the loss would make them all the detectors of whichever is brightest.
///
/// Both are compared where they meet, at the maps x before the mask, on the cells with x > 0, whose gradient the ReLU below
/// passes. Both are those of the loss of one image: times the global batch, without the share of a step that accumulates
/// several batches; so a short batch counts like any other.
///   task      G_t² = mean over cells of (B · dy ∘ max(mask, 0))², averaged over the latest batches
///   peak      P²   = max(G_t², P² · exp(−2/(5 epochs)))
///   filter    R²   = mean over cells of g², g the filter gradient without its weight, averaged over the latest batches
///   strength  ρ_t · P / R, what g is multiplied by
/// The peak keeps the filters' training going when the classes are learned and the task gradient vanishes, and it bounds
/// it. All three are of the batches before: nobody waits for them. Equal on all ranks, part of the checkpoint. In the first
/// batch the strength is 0: it only measures.
final class FilterGradientShare {
  /// Batches over which the mean squares forget.
  static let memory = 10.0
  /// Epochs in which the peak falls by e.
  static let peakEpochs = 5.0
  /// Smallest R: g is of the order of log(p(x|T)/p(x)), and far below this it is rounding, which must not be magnified.
  static let smallestFilterGradient = 1e-8

  /// G_t², P², R²; [3], 0 before the first batch that had such a gradient.
  let squares: LayerState
  private let share: Double
  private let warmupEpochs: Int

  /// A share of ρ in the first epoch after `warmupEpochs`.
  init(_ name: String, share: Double, warmupEpochs: Int) {
    precondition(share >= 0 && share.isFinite, "FilterGradientShare: \(share) is no share")
    self.share = share
    self.warmupEpochs = warmupEpochs
    squares = LayerState("\(name).gradient_squares", shape: [3])
  }

  /// ρ_t · P / R; 0 while either gradient is unknown.
  func strength(epoch: Int) -> Double {
    let peak = squares.values[1]
    let filter = squares.values[2]
    let t = max(epoch, 1) - warmupEpochs
    guard t > 0, peak > 0, filter > 0 else { return 0 }
    return share / Double(t) * peak.squareRoot() / max(filter.squareRoot(), Self.smallestFilterGradient)
  }

  /// Takes a batch's mean squares into the averages. A gradient that is 0 everywhere (silent maps, a loss without slope)
  /// tells nothing of the usual one and is left out.
  func update(task: Double, filter: Double, batchesPerEpoch: Int) {
    let values = squares.values
    average(task, into: &values[0])
    average(filter, into: &values[2])
    values[1] = max(values[0], values[1] * exp(-2 / (Self.peakEpochs * Double(max(batchesPerEpoch, 1)))))
  }

  private func average(_ square: Double, into mean: inout Double) {
    guard square > 0, square.isFinite else { return }
    mean = mean > 0 ? mean + runningShare(Self.memory) * (square - mean) : square
  }
}

/// Weight of one batch in an exponential average that forgets over so many batches.
func runningShare(_ memory: Double) -> Double { -expm1(-1 / memory) }
