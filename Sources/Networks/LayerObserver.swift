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
