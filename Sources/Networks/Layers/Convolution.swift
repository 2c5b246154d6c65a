import Tensors

/// Two-dimensional convolution (cross-correlation) with optional bias.
///
/// input [N, C, H, W] → output [N, O, H′, W′], H′ = ⌊(H + top + bottom − kh) / sh⌋ + 1, W′ likewise.
/// The first layer of a network reads interleaved images (C ≤ 16), all others blocked maps; the output is blocked.
/// Cost of each of the three passes: N·O·H′·W′·(C/groups)·kh·kw multiply-adds.
public final class Convolution: Layer, RectifiedInput, RectifyingOutput {
  /// Unique in its network; the prefix of "weight" and "bias".
  public let name: String
  /// Channels, kernel, stride, padding, groups.
  public let geometry: ConvolutionGeometry
  /// [O, C/groups, kh, kw].
  public let weights: Parameter
  /// [O]; nil where a batch normalisation follows.
  public let bias: Parameter?
  /// False for the first layer: `backward` then returns nil.
  public var needsInputGradient = true
  /// The sums are as quickly written as added.
  public var overwritesGradients: Bool { true }
  /// How the three passes are computed.
  public var algorithm = ConvolutionAlgorithm.automatic
  /// The output passes through a ReLU on its way to memory: y = max(…, 0).
  public var rectifies = false
  /// x is the output of a ReLU whose backward is done here: dx is 0 where x ≤ 0.
  public var inputIsRectified = false

  private let inputLayout: Layout
  private let output = OutputBuffer()
  private var input: Tensor?

  /// A convolution whose parameters are named `name`.weight and `name`.bias.
  ///
  /// - Parameters:
  ///   - input: `.interleaved` for a layer that reads images, else `.blocked`.
  ///   - learningRateMultipliers: factors on the learning rate of the weights and of the bias.
  ///   - weightDecayMultipliers: factors on the weight decay of the weights and of the bias.
  public init(
    _ name: String, _ geometry: ConvolutionGeometry, input: Layout = .blocked, bias: Bool = true,
    learningRateMultipliers: (weights: Float, bias: Float) = (1, 1),
    weightDecayMultipliers: (weights: Float, bias: Float) = (1, 0)
  ) {
    precondition(
      input == .blocked
        || (input == .interleaved && geometry.groups == 1 && geometry.inputChannels <= Tensor.blockWidth),
      "convolution \(name): \(input) input of \(geometry.inputChannels) channels in \(geometry.groups) groups"
    )
    self.name = name
    self.geometry = geometry
    self.inputLayout = input
    let layout: ParameterLayout =
      input == .interleaved
      ? .interleavedWeights : geometry.expandsGroups ? .expandedGroups(geometry.groups) : .blockedWeights
    weights = Parameter(
      "\(name).weight",
      shape: [
        geometry.outputChannels, geometry.inputChannels / geometry.groups, geometry.kernelHeight,
        geometry.kernelWidth,
      ], layout: layout, learningRateMultiplier: learningRateMultipliers.weights,
      weightDecayMultiplier: weightDecayMultipliers.weights)
    self.bias =
      bias
      ? Parameter(
        "\(name).bias", shape: [geometry.outputChannels], layout: .blockedVector,
        learningRateMultiplier: learningRateMultipliers.bias,
        weightDecayMultiplier: weightDecayMultipliers.bias)
      : nil
  }

  /// Weights, then the bias if there is one.
  public var parameters: [Parameter] { bias.map { [weights, $0] } ?? [weights] }

  /// How the last forward was computed, for profiles.
  public var algorithmDescription: String {
    guard let input else { return algorithm.description }
    return geometry.algorithm(.forward, input: input.shape, input.layout, algorithm).description
  }

  /// [N, C, H, W] → [N, O, H′, W′].
  public func outputShape(for input: Shape) -> Shape { geometry.outputShape(for: input) }

  /// Backward reads x.
  public func memory(for input: Shape) -> LayerMemory {
    LayerMemory(
      output: .buffer(output, .blocked), backwardReadsOutput: false,
      workspaceFloats: convolutionWorkspaceCount(input, inputLayout, geometry, algorithm))
  }

  /// y[n, o, h, w] = bias[o] + Σ_{i,a,b} weights[o, i, a, b] · x[n, i, sh·h + a − top, sw·w + b − left],
  /// max(·, 0) of it if `rectifies`
  public func forward(_ x: Tensor, _ context: StepContext) -> Tensor {
    precondition(x.layout == inputLayout, "convolution \(name): input \(x.layout), not \(inputLayout)")
    let y = output.prepare(geometry.outputShape(for: x.shape), .blocked, capacity: x.capacity)
    convolutionForward(
      x, weights: weights.values, bias: bias?.values, geometry, algorithm, relu: rectifies, into: y,
      workspace: context.workspace)
    input = x
    return y
  }

  /// dy is the gradient of what the sum gives, before a ReLU: whoever reads the output does the ReLU's backward.
  ///
  /// dweights[o, i, a, b] (+)= Σ_{n,h,w} x[n, i, sh·h + a − top, sw·w + b − left] · dy[n, o, h, w]
  /// dbias[o]             (+)= Σ_{n,h,w} dy[n, o, h, w]
  /// dx[n, i, r, c]        = Σ_{o,a,b} weights[o, i, a, b] · dy[n, o, h, w] where r = sh·h + a − top,
  ///                         c = sw·w + b − left
  public func backward(_ dy: Tensor, _ context: StepContext) -> Tensor? {
    guard let x = input else { preconditionFailure("convolution \(name): backward without a forward") }
    convolutionBackwardWeights(
      x, dy, geometry, algorithm, adding: context.addsToGradients, weightGradients: weights.gradients,
      biasGradients: bias?.gradients,
      workspace: context.workspace)
    guard needsInputGradient else { return nil }
    let dx = context.gradientPool.take(x.shape, x.layout, capacity: x.capacity)
    convolutionBackwardData(
      dy, weights: weights.values, geometry, algorithm, rectified: inputIsRectified ? x : nil, into: dx,
      workspace: context.workspace)
    return dx
  }
}
