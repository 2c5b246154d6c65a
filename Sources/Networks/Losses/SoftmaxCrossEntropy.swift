import Glibc
import Tensors

/// −log softmax(z)_y for logits z [N, L] and the category y of each image.
///
/// With m = max z: loss = log Σ exp(z − m) − (z_y − m), d loss/dz_l = exp(z_l − m) / Σ exp(z − m) − [l = y].
/// Computed in Double; no exponential overflows. Correct: the first largest logit is that of the category.
public final class SoftmaxCrossEntropy: Loss {
  /// Factor on the gradient but not on the value; the authors' code multiplies it by L.
  public let gradientFactor: Double
  private let gradient = OutputBuffer()

  /// The usual loss, or with another factor on its gradient.
  public init(gradientFactor: Double = 1) { self.gradientFactor = gradientFactor }

  /// See `Loss`. Needs `context.categories`, one of 0..<L per local image.
  public func evaluate(_ logits: Tensor, _ context: StepContext) -> LossEvaluation {
    checkLogits(logits, context)
    let (batch, outputs) = (logits.shape.batch, logits.shape.features)
    precondition(
      context.categories.count == batch,
      "softmax loss: \(context.categories.count) categories for \(batch) images")
    var result = LossEvaluation()
    if context.isTraining {
      result.gradient = gradient.prepare(logits.shape, .flat, capacity: logits.capacity)
    }
    let scale = gradientFactor * context.gradientShare / Double(max(context.globalBatchSize, 1))
    for n in 0..<batch {
      let z = logits.pointer + n * outputs
      let category = Int(context.categories[n])
      precondition(
        category >= 0 && category < outputs, "softmax loss: category \(category) of \(outputs) outputs")
      var winner = 0
      for l in 1..<max(outputs, 1) where z[l] > z[winner] { winner = l }
      let largest = Double(z[winner])
      var total = 0.0
      for l in 0..<outputs { total += exp(Double(z[l]) - largest) }
      result.sum += log(total) - (Double(z[category]) - largest)
      if winner == category && !total.isNaN { result.correctCount += 1 }
      if let dz = result.gradient.map({ $0.pointer + n * outputs }) {
        for l in 0..<outputs {
          let probability = exp(Double(z[l]) - largest) / total
          dz[l] = Float((probability - (l == category ? 1 : 0)) * scale)
        }
      }
    }
    return result
  }
}
