import CKernels
import Tensors

/// Residual block (He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016): blocked maps
/// [N, C, H, W] → [N, C′, H′, W′],
///
///     y = max(body(x) + shortcut(x), 0),
///
/// the shortcut being x itself or layers that bring it to the shape of the body's output.
///
/// The sum is made in the memory of the body's output, so neither chain may end in a layer whose backward reads its own
/// output, or works in place: both end in a batch normalisation.
public final class Residual: Layer, RectifiedInput {
  /// Unique in its network ("layer1.0").
  public let name: String
  /// False for a first layer.
  public var needsInputGradient = true
  /// x is the output of a ReLU whose backward is done here: dx is 0 where x ≤ 0.
  public var inputIsRectified = false
  /// The layer after masks the gradient as it writes: dy is ds already.
  public internal(set) var isBackwardFused = false
  /// The chain that learns the difference.
  public var body: [any Layer] { bodyBranch.layers }
  /// The chain beside it; empty for the identity.
  public var shortcut: [any Layer] { shortcutBranch.layers }
  /// The body and the shortcut, unless that is the identity.
  public var chains: [[any Layer]] { shortcut.isEmpty ? [body] : [body, shortcut] }
  /// In the order of the files: the body, then the shortcut. Backward therefore goes through the shortcut first.
  public let parts: [any Layer]
  /// Those of all parts.
  public let parameters: [Parameter]
  /// Those of all parts.
  public let states: [LayerState]

  private let bodyBranch: Branch, shortcutBranch: Branch
  private let shortcutGradient = GradientPlace()
  private var input: Tensor?, output: Tensor?

  /// A block of these layers, whose names begin with that of the block.
  public init(_ name: String, body: [any Layer], shortcut: [any Layer] = []) {
    precondition(!body.isEmpty, "\(name): a residual block needs a body")
    self.name = name
    bodyBranch = Branch(body)
    shortcutBranch = Branch(shortcut)
    parts = body + shortcut
    parameters = parts.flatMap(\.parameters)
    states = parts.flatMap(\.states)
  }

  /// The body's, which must be the shortcut's.
  public func outputShape(for input: Shape) -> Shape {
    let shape = bodyBranch.outputShape(for: input)
    let beside = shortcutBranch.outputShape(for: input)
    precondition(shape == beside, "\(name): the body makes \(shape), the shortcut \(beside)")
    return shape
  }

  /// The shortcut's steps, then the body's, in whose last one the sum is made; backward the same way, the mask of the ReLU
  /// in the first step.
  public func memory(for input: Shape) -> LayerMemory {
    let (body, beside) = (bodyBranch.needs(for: input), shortcutBranch.needs(for: input))
    precondition(
      body.outputRead == nil && beside.outputRead == nil, "\(name): backward needs the outputs of its chains")
    var memory = LayerMemory(
      output: body.output, backwardReadsInput: body.readsInput || beside.readsInput || inputIsRectified,
      backwardReadsOutput: !isBackwardFused,
      workspaceFloats: max(body.workspaceFloats, beside.workspaceFloats),
      keptBytes: body.keptBytes + beside.keptBytes)
    memory.forwardTicks = beside.forwardTicks + body.forwardTicks
    memory.backwardTicks = beside.backwardTicks + body.backwardTicks
    memory.inside =
      beside.blocks
      + body.blocks.map { $0.shifted(forward: beside.forwardTicks, backward: beside.backwardTicks) }
    if !shortcut.isEmpty {
      let last = (memory.forwardTicks - 1, memory.backwardTicks - 1)
      if case .buffer(let buffer, _) = beside.output {
        memory.inside.append(
          InnerBlock(
            owner: buffer, floats: beside.outputFloats, forward: beside.forwardTicks - 1...last.0,
            backward: nil))
      }
      memory.inside.append(
        InnerBlock(
          owner: shortcutGradient, floats: input.batch * Tensor.imageStride(input, .blocked), forward: nil,
          backward: beside.backwardTicks - 1...last.1))
    }
    return memory
  }

  /// y = max(body(x) + shortcut(x), 0).
  public func forward(_ x: Tensor, _ context: StepContext) throws -> Tensor {
    let beside = try shortcutBranch.forward(x, context)
    let y = try bodyBranch.forward(x, context)
    precondition(y.shape == beside.shape, "\(name): \(y.shape) and \(beside.shape) cannot be added")
    context.observer?.willForward(self, input: x)
    ck_add_relu_forward(beside.pointer, y.pointer, Int64(y.count))
    input = x
    output = y
    try context.observer?.didForward(self, output: y)
    return y
  }

  /// ds = dy where y > 0, else 0, in dy's place, unless the layer after did it;
  /// dx = dbody/dx(ds) + dshortcut/dx(ds), masked by x > 0 if `inputIsRectified`.
  public func backward(_ dy: Tensor, _ context: StepContext) throws -> Tensor? {
    guard let x = input, let y = output, y.shape == dy.shape, dy.layout == .blocked else {
      preconditionFailure("\(name): dy \(dy.shape) does not follow the output \(output?.shape as Any)")
    }
    let place = context.gradientPool.place
    context.gradientPool.place = nil
    if !isBackwardFused { ck_relu_backward(y.pointer, dy.pointer, Int64(dy.count)) }
    let beside = try shortcutBranch.backward(dy, into: shortcutGradient.place, context)
    let dx = try bodyBranch.backward(dy, into: place, context)
    context.observer?.willBackward(self)
    if inputIsRectified {
      ck_add_relu_backward(x.pointer, beside.pointer, dx.pointer, Int64(dx.count))
    } else {
      ck_add(beside.pointer, dx.pointer, Int64(dx.count))
    }
    try context.observer?.didBackward(self, inputGradient: dx)
    if beside !== dy { context.gradientPool.giveBack(beside) }
    return dx
  }
}
