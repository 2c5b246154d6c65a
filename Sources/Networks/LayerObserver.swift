import Tensors

/// Sees what each layer made. It may throw to end the pass.
public protocol LayerObserver: AnyObject {
  /// `output` is what the layer's forward returned.
  func didForward(_ layer: any Layer, output: Tensor) throws
  /// The layer's parameter gradients are complete on this rank; `inputGradient` is nil for the first layer.
  func didBackward(_ layer: any Layer, inputGradient: Tensor?) throws
}
