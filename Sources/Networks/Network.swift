import Tensors

/// A chain of layers with its parameters in two arenas.
///
/// Input: images, interleaved [N, 3, H, W]; output: logits, flat [N, L].
public final class Network {
  /// Name of the architecture ("alexnet").
  public let name: String
  /// In forward order. A layer may itself be a composite.
  public let layers: [any Layer]
  /// [1, 3, H, W] of the images it was built for.
  public let inputShape: Shape
  /// The interpretable layers among them, from the bottom.
  public let interpretableLayers: [InterpretableMask]
  /// All parameters.
  public let store: ParameterStore
  /// Sees every layer's output and gradient as they are made: the debug mode, profiles. Normally nil.
  public var observer: (any LayerObserver)?

  /// Assembles the layers and gives their parameters memory (all zero: see `Initializer`).
  public init(
    name: String, inputShape: Shape, layers: [any Layer],
    gradientStorage: ((_ count: Int) -> UnsafeMutablePointer<Float>)? = nil
  ) {
    self.name = name
    self.inputShape = inputShape
    self.layers = layers
    interpretableLayers = layers.compactMap { $0 as? InterpretableMask }
    var shape = inputShape
    for layer in layers { shape = layer.outputShape(for: shape) }
    outputs = shape.channels
    store = ParameterStore(layers.flatMap(\.parameters), gradientStorage: gradientStorage)
    layers.first?.needsInputGradient = false
  }

  /// L, the number of logits.
  public let outputs: Int

  /// All running statistics.
  public var states: [LayerState] { layers.flatMap(\.states) }

  /// Sets to zero the gradients that backward only adds to; the first call of every step. Those of layers that
  /// `overwritesGradients` keep what they hold: their first backward must find `addsToGradients` false.
  public func zeroAddedGradients() {
    for layer in layers where !layer.overwritesGradients {
      for parameter in layer.parameters {
        parameter.gradients.update(repeating: 0, count: parameter.storedCount)
      }
    }
  }

  /// Images → logits. The result belongs to the last layer and is overwritten by the next forward.
  public func forward(_ images: Tensor, _ context: StepContext) throws -> Tensor {
    var x = images
    for layer in layers {
      observer?.willForward(layer, input: x)
      x = try layer.forward(x, context)
      try observer?.didForward(layer, output: x)
    }
    return x
  }

  /// Gradient of the logits → gradients of all parameters, layer by layer from the last to the first.
  ///
  /// - Parameter onGradientsReady: called after each layer with the arena offset from which on all gradients are
  ///   final; it never grows.
  public func backward(
    _ logitGradient: Tensor, _ context: StepContext, onGradientsReady: (_ offset: Int) throws -> Void
  ) throws {
    var dy = logitGradient
    var readyOffset = store.count
    for layer in layers.reversed() {
      observer?.willBackward(layer)
      let dx = try layer.backward(dy, context)
      try observer?.didBackward(layer, inputGradient: dx)
      if let first = layer.parameters.first?.offset, first < readyOffset {
        readyOffset = first
        try onGradientsReady(readyOffset)
      }
      guard let dx else { break }
      if dx !== dy && dy !== logitGradient { context.gradientPool.giveBack(dy) }
      dy = dx
    }
    if dy !== logitGradient { context.gradientPool.giveBack(dy) }
    if readyOffset > 0 { try onGradientsReady(0) }
  }
}
