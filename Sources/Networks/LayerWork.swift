import Tensors

/// What a layer has to do for one batch, whatever the algorithm: the measure of a profile.
///
/// Convolutions and linear layers are measured by their arithmetic: operations, two per multiply-add of the plain
/// formula. An algorithm with fewer multiplications can therefore exceed the peak. All other layers are measured by
/// the bytes that must pass through memory if nothing stays in the caches.
public struct LayerWork: Sendable, Equatable {
  /// What the numbers count.
  public enum Unit: Sendable { case operations, bytes }

  /// The layer's type in words: "convolution", "linear", "relu", …
  public var kind: String
  /// How it is computed, where there is a choice.
  public var algorithm: String?
  /// What is counted.
  public var unit: Unit
  /// Count of one forward pass.
  public var forward: Double
  /// Count of one backward pass.
  public var backward: Double

  /// The work of `layer` for the batch in `input`, from which it makes `output`.
  public init(_ layer: any Layer, input: Tensor, output: Tensor) {
    switch layer {
    case let convolution as Convolution:
      self.init(
        kind: Self.kind(of: layer), algorithm: convolution.algorithmDescription,
        products: Self.multiplyAdds(of: layer, output: output.shape),
        needsInputGradient: layer.needsInputGradient)
    case is Linear:
      self.init(
        kind: Self.kind(of: layer), algorithm: nil,
        products: Self.multiplyAdds(of: layer, output: output.shape),
        needsInputGradient: layer.needsInputGradient)
    default:
      self.init(layer, inputBytes: 4 * Double(input.count), outputBytes: 4 * Double(output.count))
    }
  }

  /// The layer's type in words, as in `kind`.
  public static func kind(of layer: any Layer) -> String {
    switch layer {
    case is Convolution: "convolution"
    case is Linear: "linear"
    default: Self(layer, inputBytes: 0, outputBytes: 0).kind
    }
  }

  /// Products of the plain formula of a convolution or linear layer in forward; 0 of all others, whose parts count for
  /// themselves.
  ///
  /// - Parameter output: [N, C, H, W].
  public static func multiplyAdds(of layer: any Layer, output: Shape) -> Int {
    switch layer {
    case let convolution as Convolution:
      let geometry = convolution.geometry
      let taps = geometry.kernelHeight * geometry.kernelWidth
      return output.batch * output.features * (geometry.inputChannels / geometry.groups * taps)
    case let linear as Linear: return output.batch * linear.inputs * linear.outputs
    default: return 0
    }
  }

  private init(kind: String, algorithm: String?, products: Int, needsInputGradient: Bool) {
    self.kind = kind
    self.algorithm = algorithm
    unit = .operations
    forward = 2 * Double(products)
    backward = needsInputGradient ? 2 * forward : forward
  }

  /// Reads of x (and dy) and writes of y (dx).
  private init(_ layer: any Layer, inputBytes x: Double, outputBytes y: Double) {
    unit = .bytes
    switch layer {
    case is ReLU: (kind, forward, backward) = ("relu", 2 * x, 3 * x)
    case is Dropout: (kind, forward, backward) = ("dropout", 2 * x, 2 * x)
    // One byte a window remembers its maximum.
    case is MaxPooling: (kind, forward, backward) = ("max pooling", x + 1.25 * y, x + 1.25 * y)
    case is AveragePooling: (kind, forward, backward) = ("average pooling", x + y, x + y)
    case is Flatten: (kind, forward, backward) = ("flatten", x + y, x + y)
    case is LocalResponseNormalization: (kind, forward, backward) = ("response normalization", x + y, 3 * x)
    // The statistics take a pass of their own.
    case is BatchNormalization: (kind, forward, backward) = ("batch normalization", 3 * x, 5 * x)
    // Backward reads dy, x and the sum of gradients, and writes the latter.
    case is DenseNormalization: (kind, forward, backward) = ("dense normalization", 2 * y, 4 * y)
    // Making the normalised maps again: its layers count for themselves.
    case let block as DenseBlock:
      let channels = block.parts.dropLast().compactMap { ($0 as? DenseNormalization)?.channels }.reduce(0, +)
      let bytes = y * Double(channels) / Double(block.channels)
      (kind, forward, backward) = ("dense block", 0, 2 * bytes)
    // The sum and the ReLU: its layers count for themselves.
    case is Residual: (kind, forward, backward) = ("residual sum", 3 * y, 4 * x)
    case is InterpretableMask: (kind, forward, backward) = ("interpretable mask", 2 * x + y, 3 * x)
    default: (kind, forward, backward) = (String(describing: type(of: layer)), x + y, x + y)
    }
  }
}
