import Tensors

/// Response normalisation across channels (Krizhevsky et al., NIPS 2012, section 3.3): blocked [N, C, H, W] → the same.
///
/// y_c = x_c / (kappa + alpha · Σ x_d²)^beta over the window of `size` channels around c. Two conventions for alpha are
/// in use, which differ by the factor `size`.
public final class LocalResponseNormalization: Layer {
  /// Unique in its network.
  public let name: String
  /// The formula, its alpha multiplying the plain sum.
  public let normalization: ResponseNormalization
  /// False for a first layer.
  public var needsInputGradient = true
  private let output = OutputBuffer()
  private var lastInput: Tensor?

  /// The convention of the paper and of MatConvNet, `param = [size kappa alpha beta]`: alpha times the sum.
  /// - Parameter size: channels in the window, odd.
  public init(_ name: String, size: Int, kappa: Float, alphaOfSum alpha: Float, beta: Float) {
    precondition(size > 0 && size % 2 == 1, "LocalResponseNormalization \(name): the size \(size) is not odd")
    self.name = name
    normalization = ResponseNormalization(radius: size / 2, kappa: kappa, alpha: alpha, beta: beta)
  }

  /// The convention of Caffe and PyTorch: alpha times the mean over the window, sum / size, also at the borders.
  /// - Parameter size: channels in the window, odd.
  public convenience init(_ name: String, size: Int, kappa: Float, alphaOfMean alpha: Float, beta: Float) {
    self.init(name, size: size, kappa: kappa, alphaOfSum: alpha / Float(size), beta: beta)
  }

  /// The input's.
  public func outputShape(for input: Shape) -> Shape { input }

  /// Backward reads x.
  public func memory(for input: Shape) -> LayerMemory {
    LayerMemory(output: .buffer(output, .blocked), backwardReadsOutput: false)
  }

  /// y = x · s^−beta. Keeps x, which nobody may overwrite before backward.
  public func forward(_ x: Tensor, _ context: StepContext) -> Tensor {
    let y = output.prepare(x.shape, .blocked, capacity: x.capacity)
    lastInput = x
    normalization.forward(x, into: y)
    return y
  }

  /// See `ResponseNormalization.backward`; s is computed anew from x, which is cheaper than to keep it.
  public func backward(_ dy: Tensor, _ context: StepContext) -> Tensor? {
    guard needsInputGradient else { return nil }
    guard let x = lastInput else { preconditionFailure("\(name): backward without a forward before it") }
    let dx = context.gradientPool.take(x.shape, .blocked, capacity: x.capacity)
    normalization.backward(x, dy, into: dx)
    return dx
  }
}
