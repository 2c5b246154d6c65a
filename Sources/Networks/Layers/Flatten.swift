import Tensors

/// Blocked maps x [N, C, H, W] → flat vectors y [N, C·H·W] in the order channel, row, column, which linear layers read
/// and in which weight files hold their columns.
public final class Flatten: Layer {
  /// Unique in its network.
  public let name: String
  /// False for a first layer.
  public var needsInputGradient = true
  private let output = OutputBuffer()
  private var input = LastInput()

  /// A change of layout.
  public init(_ name: String) { self.name = name }

  /// [N, C·H·W, 1, 1].
  public func outputShape(for input: Shape) -> Shape {
    Shape(batch: input.batch, features: input.features)
  }

  /// Backward reads neither x nor y.
  public func memory(for input: Shape) -> LayerMemory {
    LayerMemory(output: .buffer(output, .flat), backwardReadsInput: false, backwardReadsOutput: false)
  }

  /// y = x in flat order.
  public func forward(_ x: Tensor, _ context: StepContext) -> Tensor {
    let y = output.prepare(outputShape(for: x.shape), .flat, capacity: x.capacity)
    input.remember(x)
    Flattening.flatten(x, into: y)
    return y
  }

  /// dx = dy in blocked order, its padding zero.
  public func backward(_ dy: Tensor, _ context: StepContext) -> Tensor? {
    guard needsInputGradient else { return nil }
    let dx = input.takeGradient(context)
    Flattening.unflatten(dy, into: dx)
    return dx
  }
}
