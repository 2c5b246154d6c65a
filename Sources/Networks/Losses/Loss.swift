import Tensors

/// Value and gradient at the top of the network, for this rank's share of the global batch.
public protocol Loss: AnyObject {
  /// Flat logits [N, L] → their loss. In training also its gradient, divided by `context.globalBatchSize`, so that
  /// the sum over ranks of all parameter gradients is the gradient of the mean over the global batch, and multiplied by
  /// `context.gradientShare`, so that the same holds for a step that adds up several batches.
  func evaluate(_ logits: Tensor, _ context: StepContext) -> LossEvaluation
}

/// What a loss found. Values are sums over the local images: ranks add them up and divide by the global batch.
public struct LossEvaluation {
  /// Σ over the images of the loss of one, in natural logarithms. NaN where the logits are not finite.
  public var sum = 0.0
  /// Images that are classified correctly.
  public var correctCount = 0
  /// Logits with the wrong sign, of N·L; the classification error of the authors' code. Logistic loss only.
  public var wrongSignCount = 0
  /// Flat [N, L], belonging to the loss and overwritten by its next evaluation; nil in evaluation mode.
  public var gradient: Tensor?
}

extension Loss {
  func checkLogits(_ logits: Tensor, _ context: StepContext) {
    precondition(logits.layout == .flat, "loss: flat logits are needed, not \(logits.layout)")
    precondition(
      !context.isTraining || context.globalBatchSize >= logits.shape.batch,
      "loss: \(logits.shape.batch) local images in a global batch of \(context.globalBatchSize)")
  }
}
