import CKernels

/// How a convolution is computed.
public enum ConvolutionAlgorithm: Sendable, CaseIterable, CustomStringConvertible {
  /// The fastest that fits, by the shapes alone.
  case automatic
  /// The sum itself.
  case direct
  /// Winograd's with tiles of 4 × 4, F(2×2, 3×3): as exact as the direct sum.
  case winograd4
  /// Winograd's with tiles of 6 × 6, F(4×4, 3×3) and F(2×2, 5×5): about a decimal digit less exact.
  case winograd6

  /// "automatic", "direct", "winograd 4x4" or "winograd 6x6", by the extent of the transformed tiles.
  public var description: String {
    switch self {
    case .automatic: "automatic"
    case .direct: "direct"
    case .winograd4: "winograd 4x4"
    case .winograd6: "winograd 6x6"
    }
  }

  var kernel: ck_convolution_algorithm_t {
    switch self {
    case .automatic: CK_AUTOMATIC
    case .direct: CK_DIRECT
    case .winograd4: CK_WINOGRAD_4
    case .winograd6: CK_WINOGRAD_6
    }
  }
}

/// The three passes of a convolution.
public enum ConvolutionPass: Sendable, CaseIterable {
  /// x → y.
  case forward
  /// dy → dx.
  case backwardData
  /// x, dy → dweights, dbias.
  case backwardWeights
}

/// What a two-dimensional convolution is, apart from the extent of its input.
///
/// y[n, o, h, w] = bias[o] + Σ_{i,a,b} weights[o, i, a, b] · x[n, i, sh·h + a − top, sw·w + b − left], x being zero
/// outside its map; with groups, i runs over the channels of o's group.
public struct ConvolutionGeometry: Equatable, Sendable {
  /// Rows and columns of zeros around a map.
  public struct Padding: Equatable, Sendable {
    /// Rows above and below, columns to the left and to the right; none negative.
    public var top: Int, bottom: Int, left: Int, right: Int

    /// Zeros on the four sides.
    public init(top: Int, bottom: Int, left: Int, right: Int) {
      precondition(
        min(top, bottom, left, right) >= 0,
        "Padding: a side of (top \(top), bottom \(bottom), left \(left), right \(right)) is negative")
      self.top = top
      self.bottom = bottom
      self.left = left
      self.right = right
    }

    /// The same on all four sides.
    public init(_ all: Int) { self.init(top: all, bottom: all, left: all, right: all) }
  }

  /// C and O, channels of the input and of the output.
  public let inputChannels: Int, outputChannels: Int
  /// kh and kw, extent of the kernel.
  public let kernelHeight: Int, kernelWidth: Int
  /// sh and sw, cells of the input from one output to the next.
  public let strideHeight: Int, strideWidth: Int
  /// Zeros around the input.
  public let padding: Padding
  /// Parts into which the channels are divided; outputs of a part see only its inputs. Divides C and O.
  public let groups: Int

  /// A convolution of `kernel` (height, width) with the same or different strides.
  public init(
    inputChannels: Int, outputChannels: Int, kernel: (height: Int, width: Int),
    stride: (height: Int, width: Int) = (1, 1), padding: Padding = Padding(0), groups: Int = 1
  ) {
    precondition(
      inputChannels > 0 && outputChannels > 0 && kernel.height > 0 && kernel.width > 0,
      "ConvolutionGeometry: empty weights [\(outputChannels), \(inputChannels), \(kernel.height), \(kernel.width)]"
    )
    precondition(
      stride.height > 0 && stride.width > 0,
      "ConvolutionGeometry: stride (\(stride.height), \(stride.width)) is not positive")
    precondition(
      groups > 0 && inputChannels % groups == 0 && outputChannels % groups == 0,
      "ConvolutionGeometry: \(groups) groups do not divide \(inputChannels) inputs and \(outputChannels) outputs"
    )
    self.inputChannels = inputChannels
    self.outputChannels = outputChannels
    self.kernelHeight = kernel.height
    self.kernelWidth = kernel.width
    self.strideHeight = stride.height
    self.strideWidth = stride.width
    self.padding = padding
    self.groups = groups
  }

  /// A square kernel, the same stride in both directions, the same padding on all sides.
  public init(
    inputChannels: Int, outputChannels: Int, kernel: Int, stride: Int = 1, padding: Int = 0, groups: Int = 1
  ) {
    self.init(
      inputChannels: inputChannels, outputChannels: outputChannels, kernel: (kernel, kernel),
      stride: (stride, stride), padding: Padding(padding), groups: groups)
  }

  /// [N, C, H, W] → [N, O, H′, W′], H′ = ⌊(H + top + bottom − kh) / sh⌋ + 1, W′ likewise.
  ///
  /// Traps if the channels differ or the kernel is larger than the padded input.
  public func outputShape(for input: Shape) -> Shape {
    precondition(
      input.channels == inputChannels,
      "convolution of \(inputChannels) channels: the input \(input) has \(input.channels)")
    let height = input.height + padding.top + padding.bottom - kernelHeight
    let width = input.width + padding.left + padding.right - kernelWidth
    precondition(
      height >= 0 && width >= 0,
      "convolution with a kernel of \(kernelHeight) × \(kernelWidth): too small an input \(input), padding \(padding)"
    )
    return Shape(
      batch: input.batch, channels: outputChannels, height: height / strideHeight + 1,
      width: width / strideWidth + 1)
  }

  /// True if the groups are stored as one dense convolution whose weights outside the groups stay zero: their
  /// channels do not fill whole blocks of 16.
  public var expandsGroups: Bool {
    groups > 1
      && (inputChannels / groups % Tensor.blockWidth != 0 || outputChannels / groups % Tensor.blockWidth != 0)
  }

  /// What computes a pass over an input of this shape on the present instruction set; never `.automatic`.
  public func algorithm(
    _ pass: ConvolutionPass, input: Shape, _ layout: Layout, _ wanted: ConvolutionAlgorithm
  ) -> ConvolutionAlgorithm {
    var plan = plan(input: input, layout, output: outputShape(for: input), wanted)
    let kernelPass =
      switch pass {
      case .forward: CK_FORWARD
      case .backwardData: CK_BACKWARD_DATA
      case .backwardWeights: CK_BACKWARD_WEIGHTS
      }
    let choice = ck_convolution_choice(&plan, kernelPass)
    return ConvolutionAlgorithm.allCases.first { $0.kernel == choice } ?? .direct
  }

  /// The kernel's view: extents of input and output, groups as they are stored.
  func plan(
    input: Shape, _ layout: Layout, output: Shape, _ algorithm: ConvolutionAlgorithm
  ) -> ck_convolution_t {
    precondition(
      outputShape(for: input) == output,
      "convolution: \(input) gives \(outputShape(for: input)), not \(output)")
    precondition(
      layout == .blocked || (layout == .interleaved && groups == 1 && inputChannels <= Tensor.blockWidth),
      "convolution: input \(layout) of \(inputChannels) channels in \(groups) groups")
    return ck_convolution_t(
      batch: Int64(input.batch), channels: Int32(input.channels), height: Int32(input.height),
      width: Int32(input.width), outputs: Int32(output.channels), outputHeight: Int32(output.height),
      outputWidth: Int32(output.width), kernelHeight: Int32(kernelHeight), kernelWidth: Int32(kernelWidth),
      strideHeight: Int32(strideHeight), strideWidth: Int32(strideWidth), padTop: Int32(padding.top),
      padLeft: Int32(padding.left), groups: expandsGroups ? 1 : Int32(groups),
      interleaved: layout == .interleaved ? 1 : 0, algorithm: Int32(algorithm.kernel.rawValue))
  }
}

/// Floats of workspace that the functions below want for inputs of a shape and layout, on the present number of threads.
public func convolutionWorkspaceCount(
  _ input: Shape, _ layout: Layout, _ geometry: ConvolutionGeometry,
  _ algorithm: ConvolutionAlgorithm = .automatic
) -> Int {
  var plan = geometry.plan(input: input, layout, output: geometry.outputShape(for: input), algorithm)
  return Int(ck_convolution_workspace(&plan))
}

/// y ← x ∗ weights + bias, and max(·, 0) of it if `relu`.
///
/// x [N, C, H, W] is blocked, or interleaved with C ≤ 16 and one group; y [N, O, H′, W′] is blocked. Weights lie as
/// `ck_convolution.h` says: [O/16][C/groups/16][kh][kw][16 i][16 o] for blocked x (all of C if `expandsGroups`),
/// [O/16][kh][kw][C][16 o] for interleaved x. `bias` is [O] padded to a multiple of 16. Cost: N·O·H′·W′·C/groups
/// ·kh·kw multiply-adds.
public func convolutionForward(
  _ x: Tensor, weights: UnsafePointer<Float>, bias: UnsafePointer<Float>?, _ geometry: ConvolutionGeometry,
  _ algorithm: ConvolutionAlgorithm = .automatic, relu: Bool = false, into y: Tensor, workspace: Workspace
) {
  var plan = geometry.plan(input: x.shape, x.layout, output: y.shape, algorithm)
  precondition(y.layout == .blocked, "convolution: output \(y.layout), not blocked")
  let floats = ck_convolution_workspace(&plan)
  ck_convolution_forward(
    &plan, x.pointer, weights, bias, relu ? 1 : 0, y.pointer, workspace.floats(Int(floats)), floats)
}

/// dx ← transposed convolution of dy: dx[n, i, r, c] = Σ_{o,a,b} weights[o, i, a, b] · dy[n, o, h, w] over all
/// (h, w, a, b) with r = sh·h + a − top, c = sw·w + b − left. Layouts as in `convolutionForward`.
///
/// - Parameter rectified: x, if it is the output of a ReLU whose backward is done on the way: dx is 0 where x ≤ 0.
public func convolutionBackwardData(
  _ dy: Tensor, weights: UnsafePointer<Float>, _ geometry: ConvolutionGeometry,
  _ algorithm: ConvolutionAlgorithm = .automatic, rectified: Tensor? = nil, into dx: Tensor,
  workspace: Workspace
) {
  var plan = geometry.plan(input: dx.shape, dx.layout, output: dy.shape, algorithm)
  precondition(dy.layout == .blocked, "convolution: output gradient \(dy.layout), not blocked")
  precondition(
    rectified.map { $0.shape == dx.shape && $0.layout == dx.layout } ?? true,
    "convolution: rectified input \(rectified?.shape as Any) for a gradient \(dx.shape)")
  let floats = ck_convolution_workspace(&plan)
  ck_convolution_backward_data(
    &plan, dy.pointer, weights, rectified?.pointer, dx.pointer, workspace.floats(Int(floats)), floats)
}

/// weightGradients (+)= Σ_{n,h,w} x[n, i, sh·h + a − top, sw·w + b − left] · dy[n, o, h, w], and
/// biasGradients (+)= Σ_{n,h,w} dy[n, o, h, w]. Layouts as in `convolutionForward`; the order of the sums does not
/// depend on the number of threads.
///
/// - Parameter adding: adds to what the gradients hold; otherwise replaces it.
public func convolutionBackwardWeights(
  _ x: Tensor, _ dy: Tensor, _ geometry: ConvolutionGeometry, _ algorithm: ConvolutionAlgorithm = .automatic,
  adding: Bool = true, weightGradients: UnsafeMutablePointer<Float>,
  biasGradients: UnsafeMutablePointer<Float>?, workspace: Workspace
) {
  var plan = geometry.plan(input: x.shape, x.layout, output: dy.shape, algorithm)
  precondition(dy.layout == .blocked, "convolution: output gradient \(dy.layout), not blocked")
  let floats = ck_convolution_workspace(&plan)
  ck_convolution_backward_weights(
    &plan, x.pointer, dy.pointer, adding ? 1 : 0, weightGradients, biasGradients,
    workspace.floats(Int(floats)), floats)
  if geometry.expandsGroups {
    ck_convolution_zero_outside_groups(
      weightGradients, plan.outputs, plan.channels, plan.kernelHeight * plan.kernelWidth,
      Int32(geometry.groups))
  }
}
