import Tensors

/// One block for all activations of a network and their gradients, laid out by a plan for passes with a
/// backward and one for those without. A pass of the same mode and at most the same batch as the one before costs nothing here.
final class NetworkMemory {
  /// Which activations training computes again.
  var recomputation = Recomputation.none {
    didSet { if recomputation != oldValue { forgetPlans() } }
  }
  /// The plan of the last forward.
  private(set) var current: PassPlan?
  /// Where everything lies; nil before the first plan.
  private(set) var block: TensorMemory?
  private let layers: [any Layer]
  private var training: PassPlan?
  private var evaluation: PassPlan?

  init(_ layers: [any Layer]) { self.layers = layers }

  /// Makes sure that there is a place for everything that a pass over these images needs.
  func prepare(for images: Tensor, _ context: StepContext) {
    if let current, current.hasBackward == context.hasBackward, current.fits(images), !isOutdated { return }
    if let plan = context.hasBackward ? training : evaluation, plan.fits(images) {
      return adopt(plan, context)
    }
    prepare(images.shape.with(batch: images.capacity), images.layout, context)
  }

  /// The same for images of a shape whose batch is the largest there will be.
  func prepare(_ input: Shape, _ layout: Layout, _ context: StepContext) {
    let plan = makePlan(input, layout, hasBackward: context.hasBackward)
    if context.hasBackward { training = plan } else { evaluation = plan }
    adopt(plan, context)
  }

  /// Sets every activation and gradient to a value. No pass depends on what was there before it; for tests.
  func overwrite(with value: Float) { block.map { $0.pointer.update(repeating: value, count: $0.count) } }

  /// Where the dx of a layer lies.
  func gradientPlace(of layer: Int) -> PlannedPlace? {
    guard let current, let block = current.gradients[layer] else { return nil }
    return place(block, of: current)
  }

  /// Makes the next pass plan anew, after a change of what layers do with memory.
  func forgetPlans() {
    training = nil
    evaluation = nil
  }

  private var isOutdated: Bool { current !== training && current !== evaluation }

  private func adopt(_ plan: PassPlan, _ context: StepContext) {
    current?.leave()
    if (block?.count ?? -1) < plan.places.count {
      // The old block goes first: both at once could be more than there is.
      block = nil
      block = TensorMemory(count: plan.places.count)
    }
    for index in plan.outputs.indices {
      plan.outputs[index].buffer.lie(at: place(plan.outputs[index].block, of: plan))
    }
    for index in plan.inside.indices {
      plan.inside[index].owner.lie(at: place(plan.inside[index].block, of: plan))
    }
    context.workspace.reserve(plan.workspaceFloats)
    current = plan
  }

  private func place(_ index: Int, of plan: PassPlan) -> PlannedPlace? {
    block.map {
      PlannedPlace(
        memory: $0, offset: plan.places.blocks[index].offset, floats: plan.places.blocks[index].floats)
    }
  }

  private func makePlan(_ input: Shape, _ layout: Layout, hasBackward: Bool) -> PassPlan {
    func plan(_ segmentCount: Int) -> PassPlan {
      PassPlan(layers, input: input, layout, hasBackward: hasBackward, segmentCount: segmentCount)
    }
    switch recomputation {
    case .none: return plan(1)
    case .segments(let count): return plan(count)
    case .automatic:
      guard hasBackward else { return plan(1) }
      return (1...max(1, layers.count)).map(plan).min {
        ($0.places.count, $0.recomputedFloats) < ($1.places.count, $1.recomputedFloats)
      }!
    }
  }
}
