import Tensors

/// Mean over windows: blocked x [N, C, H, W] → y [N, C, H′, W′]; H′ as `PoolingWindow.outputShape` says.
public final class AveragePooling: Layer {
  /// Unique in its network.
  public let name: String
  /// The windows; nil: one window over the whole map, whatever its extent, giving [N, C, 1, 1] (global average
  /// pooling: Lin, Chen, Yan, ICLR 2014).
  public let window: PoolingWindow?
  /// What a sum is divided by.
  public let divisor: PoolingWindow.Divisor
  /// False for a first layer.
  public var needsInputGradient = true
  private let output = OutputBuffer()
  private var input = LastInput()

  /// A pooling over windows.
  public init(_ name: String, _ window: PoolingWindow, divisor: PoolingWindow.Divisor = .paddedCells) {
    self.name = name
    self.window = window
    self.divisor = divisor
  }

  /// A pooling over whole maps.
  public init(global name: String) {
    self.name = name
    window = nil
    divisor = .mapCells
  }

  private func window(for input: Shape) -> PoolingWindow {
    window ?? PoolingWindow(kernel: (input.height, input.width), stride: (1, 1))
  }

  /// [N, C, H′, W′].
  public func outputShape(for input: Shape) -> Shape { window(for: input).outputShape(for: input) }

  /// Backward reads neither x nor y.
  public func memory(for input: Shape) -> LayerMemory {
    LayerMemory(output: .buffer(output, .blocked), backwardReadsInput: false, backwardReadsOutput: false)
  }

  /// y = mean of each window of x.
  public func forward(_ x: Tensor, _ context: StepContext) -> Tensor {
    let y = output.prepare(outputShape(for: x.shape), .blocked, capacity: x.capacity)
    input.remember(x)
    Pooling.average(x, window(for: x.shape), divisor: divisor, into: y)
    return y
  }

  /// dx = for each cell the sum of dy / divisor over the windows that hold it.
  public func backward(_ dy: Tensor, _ context: StepContext) -> Tensor? {
    guard needsInputGradient else { return nil }
    let dx = input.takeGradient(context)
    Pooling.averageBackward(dy, window(for: dx.shape), divisor: divisor, into: dx)
    return dx
  }
}
