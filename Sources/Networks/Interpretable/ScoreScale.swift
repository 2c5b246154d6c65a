/// The factor on maps before their scores are taken, which makes scores of the same size whatever the scale of the
/// activations: x' = x · c / M, M a running mean over the latest batches of the mean of max x over all maps of the layer.
///
/// With τ = 0.5/n² a score is at most 0.5 · mean of x: at activations of order 1 all scores are alike and say nothing,
/// at activations of order 1000 one image takes all. With c of about 10 neither happens.
///
/// M is that of the batches before, so that forward waits for nobody; only the very first batch waits for its own. A batch
/// whose maps are all silent leaves M as it is. Equal on all ranks, part of the checkpoint.
final class ScoreScale {
  /// Batches over which M forgets: few, because activations grow fast in the first epoch, and because each is already a
  /// mean over thousands of maps.
  static let memory = 10.0
  /// M, [1]; 0 before the first batch that was not silent.
  let meanMaximum: LayerState
  private let target: Double

  /// A scale towards maxima of `target` (c).
  init(_ name: String, target: Double) {
    precondition(target > 0 && target.isFinite, "ScoreScale: \(target) is no scale")
    self.target = target
    meanMaximum = LayerState("\(name).mean_maximum", shape: [1])
  }

  /// False while no batch has shown an activation.
  var isKnown: Bool { meanMaximum.values[0] > 0 }

  /// c / M; 1 while all maps were silent, whose scores are 0 at any scale.
  var factor: Double { isKnown ? target / meanMaximum.values[0] : 1 }

  /// Takes a batch's mean of max x into M; the first one sets it.
  func update(_ mean: Double) {
    guard mean > 0, mean.isFinite else { return }
    let values = meanMaximum.values
    values[0] = isKnown ? values[0] + runningShare(Self.memory) * (mean - values[0]) : mean
  }
}
