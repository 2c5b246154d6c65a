import Tensors

/// Sees what each layer is given and what it made. It may throw to end the pass.
public protocol LayerObserver: AnyObject {
  /// The layer's forward is next.
  func willForward(_ layer: any Layer, input: Tensor)
  /// `output` is what the layer's forward returned.
  func didForward(_ layer: any Layer, output: Tensor) throws
  /// The layer's backward is next.
  func willBackward(_ layer: any Layer)
  /// The layer's parameter gradients are complete on this rank; `inputGradient` is nil for the first layer.
  func didBackward(_ layer: any Layer, inputGradient: Tensor?) throws
}

extension LayerObserver {
  /// Nothing.
  public func willForward(_ layer: any Layer, input: Tensor) {}
  /// Nothing.
  public func willBackward(_ layer: any Layer) {}
}

extension Layer {
  /// Forward under the eyes of the context's observer. A composite tells it of its parts, and of its own steps, itself.
  func observedForward(_ x: Tensor, _ context: StepContext) throws -> Tensor {
    guard parts.isEmpty, let observer = context.observer else { return try forward(x, context) }
    observer.willForward(self, input: x)
    let y = try forward(x, context)
    try observer.didForward(self, output: y)
    return y
  }

  /// The same for backward.
  func observedBackward(_ dy: Tensor, _ context: StepContext) throws -> Tensor? {
    guard parts.isEmpty, let observer = context.observer else { return try backward(dy, context) }
    observer.willBackward(self)
    let dx = try backward(dy, context)
    try observer.didBackward(self, inputGradient: dx)
    return dx
  }
}
