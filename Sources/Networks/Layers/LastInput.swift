import Tensors

/// Shape, layout and capacity of the last forward's input: what a layer needs to make its dx.
struct LastInput {
  private(set) var shape: Shape?
  private var layout = Layout.blocked
  private var capacity = 0

  /// Notes the input of this forward.
  mutating func remember(_ x: Tensor) {
    shape = x.shape
    layout = x.layout
    capacity = x.capacity
  }

  /// A tensor for dx from the context's pool, with unspecified values. Traps if no forward came before.
  func takeGradient(_ context: StepContext) -> Tensor {
    guard let shape else { preconditionFailure("backward without a forward before it") }
    return context.gradientPool.take(shape, layout, capacity: capacity)
  }
}
