import Glibc
import Tensors

/// Σ_l log(1 + exp(−y_l·z_l)) for logits z [N, L] and signs y = ±1: one yes-or-no question per output.
///
/// With a = −y·z: loss = max(a, 0) + log1p(exp(−|a|)), d loss/dz = −y / (1 + exp(y·z)); computed in Double, nothing
/// overflows. Correct: with one output, its sign is right; with several, the first largest logit belongs to a +1.
public final class Logistic: Loss {
  private let gradient = OutputBuffer()

  /// The loss of the authors' single-category networks.
  public init() {}

  /// See `Loss`. Needs `context.signs`, ±1 per local image and output, [N, L] row-major.
  public func evaluate(_ logits: Tensor, _ context: StepContext) -> LossEvaluation {
    checkLogits(logits, context)
    let (batch, outputs) = (logits.shape.batch, logits.shape.features)
    precondition(
      context.signs.count == batch * outputs,
      "logistic loss: \(context.signs.count) signs for \(batch) images with \(outputs) outputs")
    var result = LossEvaluation()
    if context.isTraining {
      result.gradient = gradient.prepare(logits.shape, .flat, capacity: logits.capacity)
    }
    let scale = 1 * context.gradientShare / Double(max(context.globalBatchSize, 1))
    for n in 0..<batch {
      let z = logits.pointer + n * outputs
      let signs = n * outputs
      var winner = 0
      var wrong = 0
      for l in 0..<outputs {
        let sign = Double(context.signs[signs + l])
        let a = -sign * Double(z[l])
        result.sum += (a < 0 ? 0 : a) + log1p(exp(-abs(a)))
        if !(a < 0) { wrong += 1 }
        if z[l] > z[winner] { winner = l }
        if let dz = result.gradient { dz.pointer[signs + l] = Float(-sign / (1 + exp(-a)) * scale) }
      }
      result.wrongSignCount += wrong
      let right = outputs == 1 ? wrong == 0 : context.signs[signs + winner] > 0
      if right { result.correctCount += 1 }
    }
    return result
  }
}
