import CKernels
import Tensors

/// Maximum over windows: blocked x [N, C, H, W] → y [N, C, H′, W′]; H′ as `PoolingWindow.outputShape` says.
///
/// The gradient goes to the maximum, on ties to the first in row-major order; a cell that wins several overlapping
/// windows gets the sum. NaN wins.
public final class MaxPooling: Layer, RectifiedInput {
  /// Unique in its network.
  public let name: String
  /// The windows.
  public let window: PoolingWindow
  /// False for a first layer.
  public var needsInputGradient = true
  /// x is the output of a ReLU whose backward is done here: dx is 0 where x ≤ 0, which is where the maximum y is.
  public var inputIsRectified = false
  private let output = OutputBuffer()
  private var y: Tensor?
  private var winners = AlignedBuffer<UInt8>(count: 0)
  private var input = LastInput()

  /// A pooling with windows of at most 256 cells.
  public init(_ name: String, _ window: PoolingWindow) {
    self.name = name
    self.window = window
  }

  /// [N, C, H′, W′].
  public func outputShape(for input: Shape) -> Shape { window.outputShape(for: input) }

  /// Backward reads the places of the maxima, and y if it does a ReLU's backward.
  public func memory(for input: Shape) -> LayerMemory {
    let y = outputShape(for: input)
    return LayerMemory(
      output: .buffer(output, .blocked), backwardReadsInput: false, backwardReadsOutput: inputIsRectified,
      keptBytes: y.batch * Tensor.imageStride(y, .blocked))
  }

  /// y = maximum of each window of x.
  public func forward(_ x: Tensor, _ context: StepContext) -> Tensor {
    let y = output.prepare(outputShape(for: x.shape), .blocked, capacity: x.capacity)
    if winners.count < y.count { winners = AlignedBuffer(count: y.capacity * y.imageStride) }
    input.remember(x)
    Pooling.maximum(x, window, into: y, winners: winners.pointer)
    self.y = y
    return y
  }

  /// dx = for each cell the sum of dy over the windows that it won.
  public func backward(_ dy: Tensor, _ context: StepContext) -> Tensor? {
    guard needsInputGradient else { return nil }
    if inputIsRectified, let y { ck_relu_backward(y.pointer, dy.pointer, Int64(dy.count)) }
    let dx = input.takeGradient(context)
    Pooling.maximumBackward(dy, winners: winners.pointer, window, into: dx)
    return dx
  }
}
