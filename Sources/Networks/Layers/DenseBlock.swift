import Tensors

/// Dense block (Huang, Liu, van der Maaten, Weinberger, "Densely connected convolutional networks", CVPR 2017): blocked
/// maps [N, C, H, W] → [N, C + Σ growth, H, W],
///
///     x₀ = x,  xᵢ = bodyᵢ(norm([x₀, …, xᵢ₋₁])),  y = norm([x₀, …, x_L]),
///
/// norm being a batch normalisation with parameters of its own each time, and a ReLU. The closing one belongs to what stands
/// above the block in all published networks; here it is the block's, so that the concatenation never needs to be in one
/// place.
///
/// A normalised concatenation is large and quickly made: it lives while its body's first layer reads it, and is made once
/// more for that layer's backward (Pleiss et al., "Memory-efficient implementation of DenseNets", 2017, arXiv:1707.06990).
public final class DenseBlock: Layer {
  /// One dense layer: the name of its normalisation, and what follows it. The body keeps the extent of the maps; its
  /// last layer neither works in place nor needs its own output in backward.
  public typealias DenseLayer = (norm: String, body: [any Layer])

  /// Unique in its network ("features.denseblock1").
  public let name: String
  /// C + Σ growth.
  public var channels: Int { features.channels }
  /// False for a first layer.
  public var needsInputGradient = true
  /// Each dense layer's normalisation and body, then the closing normalisation.
  public let parts: [any Layer]
  /// Those of all parts.
  public let parameters: [Parameter]
  /// Those of all parts.
  public let states: [LayerState]

  private let features: DenseFeatures
  private let normalizations: [DenseNormalization]
  private let gradientPlaces: [GradientPlace]
  private var output: Tensor?

  /// A block over maps of `channels` channels, closed by the normalisation `closing`.
  public init(
    _ name: String, channels: Int, layers: [DenseLayer], closing: String, synchronized: Bool = true
  ) {
    var widths = [channels]
    for layer in layers {
      let input = Shape(batch: 1, channels: widths.reduce(0, +), height: 8, width: 8)
      let made = Branch(layer.body).outputShape(for: input)
      precondition(
        made.height == 8 && made.width == 8, "\(name): \(layer.norm)'s body changes the maps' extent")
      widths.append(made.channels)
    }
    let features = DenseFeatures(widths: widths, synchronized: synchronized)
    let norms = (layers.map(\.norm) + [closing]).enumerated().map { slice, name in
      DenseNormalization(name, features, slice: slice)
    }
    self.name = name
    self.features = features
    normalizations = norms
    parts = zip(norms, layers).flatMap { [$0.0] + $0.1.body } + [norms[layers.count]]
    parameters = parts.flatMap(\.parameters)
    states = parts.flatMap(\.states)
    gradientPlaces = parts.map { _ in GradientPlace() }
  }

  /// [N, C + Σ growth, H, W].
  public func outputShape(for input: Shape) -> Shape {
    precondition(
      input.channels == features.widths[0], "\(name): \(features.widths[0]) channels, not \(input)")
    return features.shape(slices: features.widths.count, like: input)
  }

  /// A tick for each part. Slices live as long as the block; a normalised concatenation has a life in forward and one in
  /// backward.
  public func memory(for input: Shape) -> LayerMemory {
    let chain = LayerChain(parts, input: input, .blocked)
    let last = (forward: chain.forward[parts.count - 1].upperBound, backward: chain.backward[0].upperBound)
    var memory = LayerMemory(
      output: chain.uses[parts.count - 1].output, backwardReadsOutput: false,
      workspaceFloats: chain.uses.reduce(0) { max($0, $1.workspaceFloats) },
      keptBytes: chain.uses.reduce(features.keptBytes(images: input.batch)) { $0 + $1.keptBytes })
    (memory.forwardTicks, memory.backwardTicks) = (last.forward + 1, last.backward + 1)
    memory.inside = chain.values.compactMap { value in block(value, of: chain) }
    memory.inside += chain.gradients().map { gradient in
      InnerBlock(
        owner: gradientPlaces[gradient.maker], floats: gradient.floats, forward: nil,
        backward: chain.backward[gradient.maker].upperBound...chain.backward[gradient.consumer].upperBound)
    }
    let floats = input.batch * Tensor.imageStride(outputShape(for: input), .blocked)
    memory.inside.append(
      InnerBlock(owner: features.gradient, floats: floats, forward: nil, backward: 0...last.backward))
    if !features.isAligned {
      memory.inside.append(
        InnerBlock(
          owner: features.copy, floats: floats, forward: 0...last.forward, backward: 0...last.backward))
    }
    return memory
  }

  /// The place of an output; nil of the block's own, and of one without a plan.
  private func block(_ value: LayerChain.Value, of chain: LayerChain) -> InnerBlock? {
    let (maker, consumer) = (value.layers.lowerBound, value.layers.upperBound + 1)
    guard consumer < parts.count, case .buffer(let buffer, _) = chain.uses[maker].output else { return nil }
    let made = chain.forward[maker].upperBound
    let read = chain.forward[consumer].upperBound
    var block = InnerBlock(owner: buffer, floats: value.floats, forward: made...read, backward: nil)
    if parts[maker] is DenseNormalization {
      block.backward = chain.backward[consumer]
      block.isMadeAgain = true
    } else if parts[consumer] is DenseNormalization {
      precondition(
        value.layers.count == 1 && !chain.uses[maker].backwardReadsOutput,
        "\(name): \(parts[maker].name) makes a slice, and works in place or reads it in backward")
      block.forward = made...chain.forward[parts.count - 1].upperBound
      block.backward = 0...chain.backward[consumer].upperBound
    } else {
      block.backward = chain.backwardReaders(of: value).map { chain.backward[$0].upperBound }.max().map {
        0...$0
      }
    }
    return block
  }

  /// y = norm([x, …]). Throws what the exchange throws.
  public func forward(_ x: Tensor, _ context: StepContext) throws -> Tensor {
    if !context.isRecomputing { try finishRunningStatistics(context) }
    var y = x
    for index in parts.indices { y = try parts[index].observedForward(y, context) }
    context.observer?.willForward(self, input: x)
    if context.isTraining && !context.isRecomputing { try startRunningStatistics(context) }
    output = y
    try context.observer?.didForward(self, output: y)
    return y
  }

  /// dy → dx, through the parts from the last; the gradients of all slices grow in one place.
  public func backward(_ dy: Tensor, _ context: StepContext) throws -> Tensor? {
    guard let y = output, y.shape == dy.shape, dy.layout == .blocked else {
      preconditionFailure("\(name): dy \(dy.shape) does not follow the output \(output?.shape as Any)")
    }
    let place = context.gradientPool.place
    var gradient = dy
    var index = parts.count
    while index > 0 {
      index -= 1
      try normalizeAgain(below: index, context)
      context.gradientPool.place = index == 0 ? place : gradientPlaces[index].place
      guard let dx = try parts[index].observedBackward(gradient, context) else {
        preconditionFailure("\(parts[index].name): no dx inside a composite")
      }
      if dx !== gradient && gradient !== dy { context.gradientPool.giveBack(gradient) }
      gradient = dx
    }
    context.gradientPool.place = nil
    context.observer?.willBackward(self)
    try finishRunningStatistics(context)
    try context.observer?.didBackward(self, inputGradient: gradient)
    return gradient
  }

  /// The input of a body's first layer, whose backward is next; the time is the block's.
  private func normalizeAgain(below index: Int, _ context: StepContext) throws {
    guard index > 0, let normalization = parts[index - 1] as? DenseNormalization else { return }
    context.observer?.willBackward(self)
    normalization.normalizeAgain()
    try context.observer?.didBackward(self, inputGradient: nil)
  }

  /// Statistics of shares travel while the step goes on, those of the global batch are here. The bodies' must not wait for
  /// their backward: a deep network would have more of them under way than there may be.
  private func startRunningStatistics(_ context: StepContext) throws {
    guard !features.synchronized else { return try finishRunningStatistics(context) }
    try features.startRunningStatistics(context)
    for index in parts.indices {
      try (parts[index] as? BatchNormalization)?.finishRunningStatistics(context)
    }
  }

  private func finishRunningStatistics(_ context: StepContext) throws {
    guard try features.finishRunningStatistics(context) else { return }
    for index in normalizations.indices { normalizations[index].updateRunningStatistics() }
  }
}
