import Glibc

/// How strongly the filter gradient acts: its RMS over the layer is ρ_t times that of the task gradient.
///   ρ_t = ρ/t,  t = 1 + (20 − 1) · (share of the run that is done)
/// The paper's 1/t counts epochs, and an epoch may be seven steps or seven hundred: counted in shares of the run, ρ means the
/// same on any number of images, epochs and copies of an image. The run begins after `warmupEpochs`, in which ρ_t is 0:
/// filters that have learned nothing yet have no category, and the loss would make them all the detectors of whichever is
/// brightest.
///
/// Both are compared where they meet, at the maps x before the mask, on the cells with x > 0, whose gradient the ReLU below
/// passes. Both are those of the loss of one image: times the global batch, without the share of a step that accumulates
/// several batches; so a short batch counts like any other.
///   task      G_t² = mean over cells of (B · dy ∘ max(mask, 0))², averaged over the latest batches
///   peak      P²   = max(G_t², P² · exp(−2/(a quarter of the run)))
///   filter    R²   = mean over cells of g², g the filter gradient without its weight, averaged over the latest batches
///   strength  ρ_t · P / R, what g is multiplied by
/// The peak keeps the filters' training going when the classes are learned and the task gradient vanishes, and it bounds
/// it. All three are of the batches before: nobody waits for them. Equal on all ranks, part of the checkpoint. In the first
/// batch the strength is 0: it only measures.
final class FilterGradientShare {
  /// Batches over which the mean squares forget.
  static let memory = 10.0
  /// t at the end of the run.
  static let lastT = 20.0
  /// Share of the run in which the peak falls by e.
  static let peakShare = 0.25
  /// Smallest R: g is of the order of log(p(x|T)/p(x)), and far below this it is rounding, which must not be magnified.
  static let smallestFilterGradient = 1e-8

  /// G_t², P², R²; [3], 0 before the first batch that had such a gradient.
  let squares: LayerState
  private let share: Double
  private let warmupEpochs: Double

  /// A share of ρ right after `warmupEpochs`.
  init(_ name: String, share: Double, warmupEpochs: Double) {
    precondition(share >= 0 && share.isFinite, "FilterGradientShare: \(share) is no share")
    precondition(warmupEpochs >= 0, "FilterGradientShare: a warm-up of \(warmupEpochs) epochs")
    self.share = share
    self.warmupEpochs = warmupEpochs
    squares = LayerState("\(name).gradient_squares", shape: [3])
  }

  /// ρ_t · P / R after so many epochs of a run; 0 while either gradient is unknown.
  func strength(epochsDone: Double, epochsInRun: Double) -> Double {
    let peak = squares.values[1]
    let filter = squares.values[2]
    guard epochsDone >= warmupEpochs, peak > 0, filter > 0 else { return 0 }
    let length = epochsInRun - warmupEpochs
    let done = length > 0 ? min((epochsDone - warmupEpochs) / length, 1) : 0
    let t = 1 + (Self.lastT - 1) * done
    return share / t * peak.squareRoot() / max(filter.squareRoot(), Self.smallestFilterGradient)
  }

  /// Takes a batch's mean squares into the averages. A gradient that is 0 everywhere (silent maps, a loss without slope)
  /// tells nothing of the usual one and is left out.
  func update(task: Double, filter: Double, batchesInRun: Double) {
    let values = squares.values
    average(task, into: &values[0])
    average(filter, into: &values[2])
    values[1] = max(values[0], values[1] * exp(-2 / (Self.peakShare * max(batchesInRun, 1))))
  }

  private func average(_ square: Double, into mean: inout Double) {
    guard square > 0, square.isFinite else { return }
    mean = mean > 0 ? mean + runningShare(Self.memory) * (square - mean) : square
  }
}

/// Weight of one batch in an exponential average that forgets over so many batches.
func runningShare(_ memory: Double) -> Double { -expm1(-1 / memory) }
