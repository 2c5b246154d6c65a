import Tensors

/// How much each filter of a layer contributed to a logit.
///
/// Everything above the top feature maps y (poolings, linear layers, ReLUs, batch normalisation with its running statistics,
/// dropout turned off) is piecewise linear, so that at a given image the logit is exactly
///     z = Σ_filters Σ_cells y · ∂z/∂y + rest,
/// the rest being what biases add on the active path. A filter's contribution is its inner sum: positive speaks for the
/// class, negative against it. (Gradient times input; for such networks the same as layer-wise relevance propagation with
/// its plain rule, Ancona et al., ICLR 2018.)
public final class Attribution {
  /// One image and one logit.
  public struct Result: Sendable {
    /// All logits of the image, [L].
    public let logits: [Float]
    /// Per filter, [C].
    public let contributions: [Double]
    /// What no filter contributed: the logit minus the sum of the contributions.
    public let rest: Double
    /// The maps that were decomposed, per filter [H·W], row by row.
    public let maps: [[Float]]
    /// Per filter, contribution of each cell [H·W].
    public let cells: [[Float]]
  }

  /// [1, C, H, W] of the maps.
  public let mapShape: Shape
  private let network: Network
  private let layerIndex: Int

  /// Decompositions over the output of layer `layerIndex` of a network.
  public init(_ network: Network, layerIndex: Int) {
    precondition(
      layerIndex >= 0 && layerIndex < network.layers.count - 1,
      "Attribution: layer \(layerIndex) of \(network.layers.count)")
    self.network = network
    self.layerIndex = layerIndex
    mapShape = network.layers[...layerIndex].reduce(network.inputShape) { $1.outputShape(for: $0) }
  }

  /// Decomposes one logit of one image, by default its highest.
  ///
  /// - Parameters:
  ///   - image: [1, 3, H, W], interleaved.
  ///   - context: of the network; its mode is what it was afterwards.
  public func run(_ image: Tensor, output: Int? = nil, _ context: StepContext) throws -> Result {
    precondition(image.shape.batch == 1, "Attribution: \(image.shape.batch) images at once")
    let (mode, observer) = (context.mode, network.observer)
    let probe = Probe(network.layers[layerIndex], above: network.layers[layerIndex + 1])
    network.observer = probe
    context.mode = .attribution
    defer {
      network.observer = observer
      context.mode = mode
    }
    let logits = try network.forward(image, context)
    let values = (0..<network.outputs).map { logits.pointer[$0] }
    let chosen = output ?? values.indices.max { values[$0] < values[$1] }!
    let gradient = Tensor(logits.shape, logits.layout)
    gradient.pointer[chosen] = 1
    try network.backward(gradient, context, downTo: layerIndex + 1) { _ in }

    let cells = zip(probe.maps, probe.gradients).map { map, gradient in zip(map, gradient).map { $0 * $1 } }
    let contributions = cells.map { $0.reduce(0) { $0 + Double($1) } }
    return Result(
      logits: values, contributions: contributions,
      rest: Double(values[chosen]) - contributions.reduce(0, +), maps: probe.maps, cells: cells)
  }
}

/// Takes a copy of a layer's output and of its gradient, before their memory goes to others.
private final class Probe: LayerObserver {
  private(set) var maps: [[Float]] = []
  private(set) var gradients: [[Float]] = []
  private let layer: any Layer
  private let above: any Layer

  init(_ layer: any Layer, above: any Layer) {
    self.layer = layer
    self.above = above
  }

  func didForward(_ layer: any Layer, output: Tensor) {
    if layer === self.layer { maps = output.mapsOfFirstImage() }
  }

  func didBackward(_ layer: any Layer, inputGradient: Tensor?) {
    if layer === above, let inputGradient { gradients = inputGradient.mapsOfFirstImage() }
  }
}

extension Tensor {
  /// The maps [C][H·W] of the first image of blocked maps.
  fileprivate func mapsOfFirstImage() -> [[Float]] {
    precondition(layout == .blocked, "blocked maps are needed, not \(layout)")
    return (0..<shape.channels).map { channel in
      let first = pointer + offset(0, channel, 0, 0)
      return (0..<shape.cells).map { first[$0 * Self.blockWidth] }
    }
  }
}
