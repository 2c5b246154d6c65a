import CKernels
import Tensors

/// y = x·Wᵀ + b: flat x [N, inputs] → flat y [N, outputs]; W [outputs, inputs], b [outputs].
///
/// Cost: 2·N·inputs·outputs operations forward, twice that backward. Up to `largestThinBatch` images the products are our own
/// kernels, which run near the speed at which W or dW passes through memory; larger ones are OpenBLAS's, cut into fixed pieces
/// of W for the thread pool. Either way results do not depend on the number of threads.
public final class Linear: Layer {
  /// Unique in its network.
  public let name: String
  /// W [outputs, inputs].
  public let weights: Parameter
  /// b [outputs].
  public let bias: Parameter?
  /// False for a first layer.
  public var needsInputGradient = true
  /// dW is as large as W, which may be most of the network.
  public var overwritesGradients: Bool { true }
  /// Length of x and of y.
  public let inputs: Int, outputs: Int
  private let output = OutputBuffer()
  private var lastInput: Tensor?

  /// Most images for which our own products are at least as fast as OpenBLAS's (docs/adr/0009: 1.2 to 2.7 times up to 32
  /// images, equal at 64).
  static let largestThinBatch = 48

  // Pieces of OpenBLAS's products are fixed: rows of W for y and dW, columns of W for dx.
  private static let rowsPerPiece = 128
  private static let columnsPerPiece = 512

  /// A fully connected layer with parameters NAME.weight (He-normal at first) and NAME.bias (zero).
  public init(_ name: String, inputs: Int, outputs: Int, bias hasBias: Bool = true) {
    precondition(inputs > 0 && outputs > 0, "Linear \(name): \(inputs) inputs, \(outputs) outputs")
    self.name = name
    self.inputs = inputs
    self.outputs = outputs
    weights = Parameter("\(name).weight", shape: [outputs, inputs], mayKeepFactors: true)
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
    var extent = extent(min(input.batch, Self.largestThinBatch))
    return LayerMemory(
      output: .buffer(output, .flat), backwardReadsOutput: false,
      workspaceFloats: Int(ck_linear_workspace(&extent)))
  }

  /// y = x·Wᵀ + b. Keeps x, which nobody may overwrite before backward.
  public func forward(_ x: Tensor, _ context: StepContext) -> Tensor {
    precondition(x.layout == .flat, "Linear \(name): a flat input is needed, not \(x.layout)")
    let y = output.prepare(outputShape(for: x.shape), .flat, capacity: x.capacity)
    lastInput = x
    let batch = x.shape.batch
    if batch <= Self.largestThinBatch {
      var extent = extent(batch)
      ck_linear_forward(
        &extent, x.pointer, weights.values, bias?.values, y.pointer, workspace(extent, context))
      return y
    }
    if let bias { ck_rows_fill(bias.values, Int64(batch), Int64(outputs), y.pointer) }
    gemm(
      m: batch, n: outputs, k: inputs, MatrixView(x.pointer, rowStride: inputs),
      MatrixView(weights.values, rowStride: inputs, transposed: true), beta: bias == nil ? 0 : 1,
      into: y.pointer, rowStride: outputs, cut: .columns, every: Self.rowsPerPiece)
    return y
  }

  /// db (+)= Σ_n dy, dW (+)= dyᵀ·x, dx = dy·W. Where the update makes dW, its factors dy and x are kept instead.
  public func backward(_ dy: Tensor, _ context: StepContext) -> Tensor? {
    guard let x = lastInput, dy.layout == .flat, dy.shape == outputShape(for: x.shape) else {
      preconditionFailure("Linear \(name): dy \(dy.shape) does not follow x \(lastInput?.shape as Any)")
    }
    let batch = x.shape.batch
    let adds = context.addsToGradients
    let isThin = batch <= Self.largestThinBatch
    var extent = extent(batch)
    if let bias { ck_rows_sum(dy.pointer, Int64(batch), Int64(outputs), adds ? 1 : 0, bias.gradients) }
    if context.keepsFactors, let factors = weights.factors {
      factors.keep(x: x, dy: dy, context)
    } else if isThin {
      ck_linear_backward_weights(
        &extent, x.pointer, dy.pointer, adds ? 1 : 0, weights.gradients, workspace(extent, context))
    } else {
      gemm(
        m: outputs, n: inputs, k: batch, MatrixView(dy.pointer, rowStride: outputs, transposed: true),
        MatrixView(x.pointer, rowStride: inputs), beta: adds ? 1 : 0, into: weights.gradients,
        rowStride: inputs, cut: .rows, every: Self.rowsPerPiece)
    }
    guard needsInputGradient else { return nil }
    let dx = context.gradientPool.take(x.shape, .flat, capacity: x.capacity)
    if isThin {
      ck_linear_backward_data(
        &extent, dy.pointer, weights.values, dx.pointer, workspace(extent, context))
    } else {
      gemm(
        m: batch, n: inputs, k: outputs, MatrixView(dy.pointer, rowStride: outputs),
        MatrixView(weights.values, rowStride: inputs), beta: 0, into: dx.pointer, rowStride: inputs,
        cut: .columns, every: Self.columnsPerPiece)
    }
    return dx
  }

  private func extent(_ batch: Int) -> ck_linear_t {
    ck_linear_t(batch: Int64(batch), inputs: Int64(inputs), outputs: Int64(outputs))
  }

  private func workspace(_ extent: ck_linear_t, _ context: StepContext) -> UnsafeMutablePointer<Float> {
    var extent = extent
    return context.workspace.floats(Int(ck_linear_workspace(&extent)))
  }
}
