import Tensors

/// A chain of layers with its parameters in two arenas.
///
/// Input: images, interleaved [N, 3, H, W]; output: logits, flat [N, L]. Activations and their gradients share one block
/// of memory: an output is valid only until backward has read it for the last time.
public final class Network {
  /// Name of the architecture ("alexnet").
  public let name: String
  /// In forward order. A layer may itself be a composite. Their outputs lie where a plan of the whole network puts them:
  /// once it has run, a layer is no longer run by itself.
  public let layers: [any Layer]
  /// [1, 3, H, W] of the images it was built for.
  public let inputShape: Shape
  /// The layers that compute, those inside composites included: what an observer sees.
  public let leaves: [any Layer]
  /// The interpretable layers among them, from the bottom.
  public let interpretableLayers: [InterpretableMask]
  /// All parameters.
  public let store: ParameterStore
  /// Sees every layer's output and gradient as they are made: the debug mode, profiles. Normally nil.
  public var observer: (any LayerObserver)?
  let memory: NetworkMemory
  // Per layer: the input of the last forward, from which a segment is computed again, and the offset of its first
  // parameter in the arena.
  private var inputs: [Tensor?]
  private let parameterOffsets: [Int?]
  // Of the gradient arena: the gradients of layers that only add to them.
  private let addedRanges: [Range<Int>]

  /// Assembles the layers and gives their parameters memory (all zero: see `Initializer`).
  public init(
    name: String, inputShape: Shape, layers: [any Layer],
    arenas: ParameterArenas.Source = ParameterArenas.Source()
  ) {
    self.name = name
    self.inputShape = inputShape
    self.layers = layers
    interpretableLayers = layers.compactMap { $0 as? InterpretableMask }
    var shape = inputShape
    for layer in layers { shape = layer.outputShape(for: shape) }
    outputs = shape.channels
    store = ParameterStore(layers.flatMap(\.parameters), arenas: arenas)
    leaves = layers.flatMap(\.leaves)
    addedRanges = leaves.filter { $0.parts.isEmpty && !$0.overwritesGradients }.flatMap(\.parameters).map {
      $0.offset..<$0.offset + $0.storedCount
    }
    parameterOffsets = layers.map { $0.parameters.first?.offset }
    inputs = Array(repeating: nil, count: layers.count)
    memory = NetworkMemory(layers)
    layers.first?.needsInputGradient = false
  }

  /// L, the number of logits.
  public let outputs: Int

  /// All running statistics.
  public var states: [LayerState] { layers.flatMap(\.states) }

  /// Sets to zero the gradients that backward only adds to; the first call of every step. Those of layers that
  /// `overwritesGradients` keep what they hold: their first backward must find `addsToGradients` false.
  public func zeroAddedGradients() {
    let gradients = store.gradients
    for index in addedRanges.indices { gradients[addedRanges[index]].update(repeating: 0) }
  }

  /// Which activations training computes a second time instead of keeping them.
  public var recomputation: Recomputation {
    get { memory.recomputation }
    set { memory.recomputation = newValue }
  }

  /// Allocates what a pass in the context's mode needs for up to `batchSize` images of this rank; otherwise the first
  /// forward does.
  public func prepare(batchSize: Int, _ context: StepContext) {
    memory.prepare(inputShape.with(batch: batchSize), .interleaved, context)
  }

  /// What the last `prepare` or forward planned; nil before.
  public var memorySummary: MemorySummary? {
    memory.current.map { plan in
      let float = MemoryLayout<Float>.stride
      return MemorySummary(
        parameterBytes: 3 * store.count * float, activationBytes: plan.places.count * float,
        unsharedActivationBytes: plan.places.countWithoutSharing * float,
        workspaceBytes: plan.workspaceFloats * float, keptBytes: plan.keptBytes,
        recomputedBytes: plan.recomputedFloats * float)
    }
  }

  /// Images → logits. The result belongs to the last layer and is overwritten by the next forward; the images must stay
  /// until backward is done.
  public func forward(_ images: Tensor, _ context: StepContext) throws -> Tensor {
    memory.prepare(for: images, context)
    context.observer = observer
    defer { context.observer = nil }
    var x = images
    for index in layers.indices {
      let layer = layers[index]
      inputs[index] = x
      x = try layer.observedForward(x, context)
    }
    return x
  }

  /// Gradient of the logits → gradients of all parameters, layer by layer from the last to the first. Follows a forward
  /// in training or attribution mode, which it uses up.
  ///
  /// - Parameter lowest: the last layer to be gone through; by default the first one.
  /// - Parameter onGradientsReady: called after each layer with the arena offset from which on all gradients are
  ///   final; it never grows.
  public func backward(
    _ logitGradient: Tensor, _ context: StepContext, downTo lowest: Int = 0,
    onGradientsReady: (_ offset: Int) throws -> Void
  ) throws {
    guard let plan = memory.current, plan.hasBackward else {
      preconditionFailure("\(name): backward without a forward that keeps activations")
    }
    context.observer = observer
    defer { context.observer = nil }
    var dy = logitGradient
    var readyOffset = store.count
    var index = layers.count
    while index > lowest {
      index -= 1
      let layer = layers[index]
      let watcher = layer.parts.isEmpty ? observer : nil
      watcher?.willBackward(layer)
      if !plan.recomputed[index].isEmpty { try recompute(plan.recomputed[index], context) }
      context.gradientPool.place = memory.gradientPlace(of: index)
      let dx = try layer.backward(dy, context)
      try watcher?.didBackward(layer, inputGradient: dx)
      if let first = parameterOffsets[index], first < readyOffset {
        readyOffset = first
        try onGradientsReady(readyOffset)
      }
      guard let dx else { break }
      if dx !== dy && dy !== logitGradient { context.gradientPool.giveBack(dy) }
      dy = dx
    }
    context.gradientPool.place = nil
    if dy !== logitGradient { context.gradientPool.giveBack(dy) }
    if lowest == 0 && readyOffset > 0 { try onGradientsReady(0) }
  }

  /// Runs the forward of some layers again, whose outputs have made room for others.
  private func recompute(_ range: Range<Int>, _ context: StepContext) throws {
    context.isRecomputing = true
    context.observer = nil
    defer {
      context.isRecomputing = false
      context.observer = observer
    }
    guard var x = inputs[range.lowerBound] else { preconditionFailure("\(name): no input to recompute from") }
    for index in range { x = try layers[index].forward(x, context) }
  }
}
