import Tensors

/// What a plan must know of a layer's use of memory for one shape of its input.
///
/// Whatever a layer's backward reads must be declared: memory that nobody declares is given to others as soon as its
/// last reader is done. The default declares everything and plans nothing.
public struct LayerMemory {
  /// Where the output lies.
  public enum Output {
    /// In memory of which the plan knows nothing.
    case unplanned
    /// In the input's memory: forward works in place.
    case input
    /// In a buffer that the plan may place.
    case buffer(OutputBuffer, Layout)
  }

  /// Where the output lies.
  public var output: Output
  /// Whether backward reads the values of the last forward's input.
  public var backwardReadsInput: Bool
  /// Whether backward reads the values of the last forward's output.
  public var backwardReadsOutput: Bool
  /// Whether backward turns dy into dx in place and takes nothing from the gradient pool.
  public var backwardWorksInPlace: Bool
  /// Floats of the context's workspace that forward and backward want.
  public var workspaceFloats: Int
  /// Bytes that the layer keeps between forward and backward beside its output; stated for the summary alone.
  public var keptBytes: Int

  /// A layer that the plan leaves alone, unless said otherwise.
  public init(
    output: Output = .unplanned, backwardReadsInput: Bool = true, backwardReadsOutput: Bool = true,
    backwardWorksInPlace: Bool = false, workspaceFloats: Int = 0, keptBytes: Int = 0
  ) {
    self.output = output
    self.backwardReadsInput = backwardReadsInput
    self.backwardReadsOutput = backwardReadsOutput
    self.backwardWorksInPlace = backwardWorksInPlace
    self.workspaceFloats = workspaceFloats
    self.keptBytes = keptBytes
  }
}
