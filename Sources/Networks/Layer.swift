import Tensors

/// One step of a network: forward, and under it in the same file its backward.
///
/// A layer is a final class that owns its parameters and what backward needs of the last forward. Its output lies where
/// the network's plan puts it (`OutputBuffer`), and only as long as `memory` says that backward reads it. Backward
/// returns the gradient of the layer's input, dx, given that of its output, dy, and adds (`+=`) to its parameters'
/// gradients, or, if it says that it `overwritesGradients`, sets them (`=`) where `context.addsToGradients` is false.
public protocol Layer: AnyObject {
  /// Unique in its network; the prefix of its parameters' names ("features.0").
  var name: String { get }
  /// Learned arrays, in the order of the arena.
  var parameters: [Parameter] { get }
  /// What else a checkpoint must hold: running statistics.
  var states: [LayerState] { get }

  /// Shape of the output for an input shape; pure. Traps where they do not fit, with both shapes.
  func outputShape(for input: Shape) -> Shape
  /// x → y. In training it keeps what `backward` needs. May work in place and return `x` itself.
  ///
  /// Where `context.isRecomputing` it computes the outputs of the last forward once more, with the same parameters: it
  /// then takes over that forward's statistics and exchanges nothing. Throws only what the exchange throws.
  func forward(_ x: Tensor, _ context: StepContext) throws -> Tensor
  /// dy → dx; parameter gradients += or =. May work in place and return `dy` itself. Otherwise dx comes from the
  /// context's gradient pool and the caller gives dy back. `nil` when `needsInputGradient` is false.
  func backward(_ dy: Tensor, _ context: StepContext) throws -> Tensor?
  /// False for the first layer, whose dx nobody reads.
  var needsInputGradient: Bool { get set }
  /// What the layer does with memory for an input shape, its batch the largest there will be; pure.
  func memory(for input: Shape) -> LayerMemory
  /// True promises that backward sets every value of all its parameters' gradients, padding included and also for an empty
  /// batch, when `context.addsToGradients` is false. Nobody zeroes them then, which saves a large layer two of three passes
  /// over its gradient. By default false: the gradients are zeroed before each step.
  var overwritesGradients: Bool { get }
  /// The layers inside a composite, in the order of their parameters; otherwise none. A composite reports them, and its
  /// own steps, to the context's observer.
  var parts: [any Layer] { get }
  /// The same layers as the chains that they form, each of which reads the composite's input. By default a single one.
  var chains: [[any Layer]] { get }
}

extension Layer {
  /// No learned arrays.
  public var parameters: [Parameter] { [] }
  /// Nothing to keep.
  public var states: [LayerState] { [] }
  /// A layer with memory of its own, of which backward may read everything.
  public func memory(for input: Shape) -> LayerMemory { LayerMemory() }
  /// Gradients are added to zeros.
  public var overwritesGradients: Bool { false }
  /// It is no composite.
  public var parts: [any Layer] { [] }
  /// All parts in one chain.
  public var chains: [[any Layer]] { parts.isEmpty ? [] : [parts] }
  /// The layers that compute: the layer itself, after all of a composite's parts.
  public var leaves: [any Layer] { parts.flatMap(\.leaves) + [self] }
}

/// A named array of running statistics that a checkpoint keeps: in Double, equal on all ranks.
public final class LayerState {
  /// Name in files, unique in a network ("features.1.running_mean").
  public let name: String
  /// Canonical shape.
  public let shape: [Int]
  private let storage: AlignedBuffer<Double>

  /// A state whose values are all `initial`.
  public init(_ name: String, shape: [Int], initial: Double = 0) {
    self.name = name
    self.shape = shape
    storage = AlignedBuffer(count: shape.reduce(1, *))
    values.update(repeating: initial)
  }

  /// The values, row-major.
  public var values: UnsafeMutableBufferPointer<Double> {
    UnsafeMutableBufferPointer(start: storage.pointer, count: storage.count)
  }
}
