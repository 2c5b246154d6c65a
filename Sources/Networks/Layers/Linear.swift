import CKernels
import Tensors

/// y = x·Wᵀ + b: flat x [N, inputs] → flat y [N, outputs]; W [outputs, inputs], b [outputs].
///
/// The products are cut into fixed pieces of W for the thread pool, each a single-threaded BLAS call; results do not
/// depend on the number of threads. Cost: 2·N·inputs·outputs operations forward, twice that backward; below some
/// dozens of images all three passes run at the speed at which W or dW passes through memory.
public final class Linear: Layer {
  /// Unique in its network.
  public let name: String
  /// W [outputs, inputs].
  public let weights: Parameter
  /// b [outputs].
  public let bias: Parameter?
  /// False for a first layer.
  public var needsInputGradient = true
  /// Length of x and of y.
  public let inputs: Int, outputs: Int
  private let output = OutputBuffer()
  private var lastInput: Tensor?

  // Pieces are fixed: rows of W for y and dW, columns of W for dx.
  private static let rowsPerPiece = 128
  private static let columnsPerPiece = 512

  /// A fully connected layer with parameters NAME.weight (He-normal at first) and NAME.bias (zero).
  public init(_ name: String, inputs: Int, outputs: Int, bias hasBias: Bool = true) {
    precondition(inputs > 0 && outputs > 0, "Linear \(name): \(inputs) inputs, \(outputs) outputs")
    self.name = name
    self.inputs = inputs
    self.outputs = outputs
    weights = Parameter("\(name).weight", shape: [outputs, inputs])
    weights.initializer = .heNormal
    bias = hasBias ? Parameter("\(name).bias", shape: [outputs]) : nil
  }

  /// W and b.
  public var parameters: [Parameter] { bias.map { [weights, $0] } ?? [weights] }

  /// [N, outputs]; the input must have `inputs` values per image.
  public func outputShape(for input: Shape) -> Shape {
    precondition(
      input.features == inputs, "Linear \(name): \(inputs) inputs per image are needed, not \(input)")
    return Shape(batch: input.batch, features: outputs)
  }

  /// Backward reads x.
  public func memory(for input: Shape) -> LayerMemory {
    LayerMemory(output: .buffer(output, .flat), backwardReadsOutput: false)
  }

  /// y = x·Wᵀ + b. Keeps x, which nobody may overwrite before backward.
  public func forward(_ x: Tensor, _ context: StepContext) -> Tensor {
    precondition(x.layout == .flat, "Linear \(name): a flat input is needed, not \(x.layout)")
    let y = output.prepare(outputShape(for: x.shape), .flat, capacity: x.capacity)
    lastInput = x
    let batch = x.shape.batch
    if let bias { ck_rows_fill(bias.values, Int64(batch), Int64(outputs), y.pointer) }
    gemm(
      m: batch, n: outputs, k: inputs, MatrixView(x.pointer, rowStride: inputs),
      MatrixView(weights.values, rowStride: inputs, transposed: true), beta: bias == nil ? 0 : 1,
      into: y.pointer, rowStride: outputs, cut: .columns, every: Self.rowsPerPiece)
    return y
  }

  /// db += Σ_n dy, dW += dyᵀ·x, dx = dy·W.
  public func backward(_ dy: Tensor, _ context: StepContext) -> Tensor? {
    guard let x = lastInput, dy.layout == .flat, dy.shape == outputShape(for: x.shape) else {
      preconditionFailure("Linear \(name): dy \(dy.shape) does not follow x \(lastInput?.shape as Any)")
    }
    let batch = x.shape.batch
    if let bias { ck_rows_accumulate(dy.pointer, Int64(batch), Int64(outputs), bias.gradients) }
    if batch > 0 {
      gemm(
        m: outputs, n: inputs, k: batch, MatrixView(dy.pointer, rowStride: outputs, transposed: true),
        MatrixView(x.pointer, rowStride: inputs), beta: 1, into: weights.gradients, rowStride: inputs,
        cut: .rows, every: Self.rowsPerPiece)
    }
    guard needsInputGradient else { return nil }
    let dx = context.gradientPool.take(x.shape, .flat, capacity: x.capacity)
    gemm(
      m: batch, n: inputs, k: outputs, MatrixView(dy.pointer, rowStride: outputs),
      MatrixView(weights.values, rowStride: inputs), beta: 0, into: dx.pointer, rowStride: inputs,
      cut: .columns, every: Self.columnsPerPiece)
    return dx
  }
}
