import CKernels
import Tensors

/// y = max(x, 0), for any shape [N, C, H, W] and layout (Nair & Hinton, ICML 2010).
///
/// Works in place: x becomes y, dy becomes dx. So the layer before must not need its own output in backward
/// (convolution, linear and batch norm do not). NaN stays NaN, so that a numerical breakdown is seen.
public final class ReLU: Layer {
  /// Unique in its network.
  public let name: String
  /// In place, so it costs nothing and is always there.
  public var needsInputGradient = true
  /// The layer before rectifies as it writes: forward has nothing left to do.
  public internal(set) var isForwardFused = false
  /// The layer after masks the gradient as it writes: backward has nothing left to do.
  public internal(set) var isBackwardFused = false
  private var output: Tensor?

  /// A rectifier.
  public init(_ name: String) { self.name = name }

  /// The input's.
  public func outputShape(for input: Shape) -> Shape { input }

  /// In place both ways; backward reads y, unless the layer after does it.
  public func memory(for input: Shape) -> LayerMemory {
    LayerMemory(
      output: .input, backwardReadsInput: false, backwardReadsOutput: !isBackwardFused,
      backwardWorksInPlace: true)
  }

  /// x → x, in place.
  public func forward(_ x: Tensor, _ context: StepContext) -> Tensor {
    output = x
    if isForwardFused { return x }
    ck_relu_forward(x.pointer, Int64(x.count))
    return x
  }

  /// dx = dy where y > 0, else 0; in place.
  public func backward(_ dy: Tensor, _ context: StepContext) -> Tensor? {
    guard let y = output, y.shape == dy.shape, y.layout == dy.layout else {
      preconditionFailure("ReLU \(name): dy \(dy.shape) does not follow the output \(output?.shape as Any)")
    }
    if isBackwardFused { return dy }
    ck_relu_backward(y.pointer, dy.pointer, Int64(dy.count))
    return dy
  }
}
