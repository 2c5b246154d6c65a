import Tensors

/// A chain of layers inside a composite: runs them forward and backward, and tells the plan what they need.
final class Branch {
  let layers: [any Layer]
  /// Per layer, where its dx lies; the first one's lies where the caller says.
  private let gradientPlaces: [GradientPlace]

  init(_ layers: [any Layer]) {
    self.layers = layers
    gradientPlaces = layers.map { _ in GradientPlace() }
  }

  func outputShape(for input: Shape) -> Shape {
    var shape = input
    for index in layers.indices { shape = layers[index].outputShape(for: shape) }
    return shape
  }

  func forward(_ x: Tensor, _ context: StepContext) throws -> Tensor {
    var y = x
    for index in layers.indices { y = try layers[index].observedForward(y, context) }
    return y
  }

  /// dy → dx; dy stays with the caller, unchanged as long as the last layer does not work in place.
  ///
  /// - Parameter place: where dx lies; nil: in the pool.
  func backward(_ dy: Tensor, into place: PlannedPlace?, _ context: StepContext) throws -> Tensor {
    var gradient = dy
    var index = layers.count
    while index > 0 {
      index -= 1
      context.gradientPool.place = index == 0 ? place : gradientPlaces[index].place
      guard let dx = try layers[index].observedBackward(gradient, context) else {
        preconditionFailure("\(layers[index].name): no dx inside a composite")
      }
      if dx !== gradient && gradient !== dy { context.gradientPool.giveBack(gradient) }
      gradient = dx
    }
    return gradient
  }

  /// What a plan must know of the branch.
  struct Needs {
    var forwardTicks = 0, backwardTicks = 0
    /// The blocks between its ends, and those inside its layers. Lives end where backward of the branch does.
    var blocks: [InnerBlock] = []
    /// The last output, and when backward reads it, if it does.
    var output: LayerMemory.Output = .input
    var outputFloats = 0, outputRead: Int?
    var readsInput = false
    var workspaceFloats = 0, keptBytes = 0
  }

  /// For blocked maps of a shape with the largest batch.
  func needs(for input: Shape) -> Needs {
    let chain = LayerChain(layers, input: input, .blocked)
    var needs = Needs()
    needs.forwardTicks = (chain.forward.last?.upperBound ?? -1) + 1
    needs.backwardTicks = (chain.backward.first?.upperBound ?? -1) + 1
    needs.workspaceFloats = chain.uses.reduce(0) { max($0, $1.workspaceFloats) }
    needs.keptBytes = chain.uses.reduce(0) { $0 + $1.keptBytes }
    needs.readsInput = chain.uses.first?.backwardReadsInput ?? false
    for value in chain.values {
      let (first, consumer) = (value.layers.lowerBound, value.layers.upperBound + 1)
      let read = chain.backwardReaders(of: value).map { chain.backward[$0].upperBound }.max()
      guard consumer < layers.count else {
        needs.output = chain.uses[first].output
        needs.outputFloats = value.floats
        needs.outputRead = read
        continue
      }
      guard case .buffer(let buffer, _) = chain.uses[first].output else { continue }
      needs.blocks.append(
        InnerBlock(
          owner: buffer, floats: value.floats,
          forward: chain.forward[first].upperBound...chain.forward[consumer].upperBound,
          backward: read.map { 0...$0 }))
    }
    for gradient in chain.gradients() {
      needs.blocks.append(
        InnerBlock(
          owner: gradientPlaces[gradient.maker], floats: gradient.floats, forward: nil,
          backward: chain.backward[gradient.maker].upperBound...chain.backward[gradient.consumer].upperBound))
    }
    for layer in layers.indices {
      needs.blocks += chain.uses[layer].inside.map {
        $0.shifted(forward: chain.forward[layer].lowerBound, backward: chain.backward[layer].lowerBound)
      }
    }
    return needs
  }
}
