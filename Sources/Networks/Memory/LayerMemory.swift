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

  /// Ticks of the plan's clock that forward and backward take: the steps of a composite, otherwise 1. The output, and
  /// dx, are written in the last one; x, and dy, are read until then.
  var forwardTicks = 1, backwardTicks = 1
  /// Blocks inside a composite.
  var inside: [InnerBlock] = []

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

/// A block inside a composite, its life counted in ticks of the composite's own forward and backward.
struct InnerBlock {
  /// Where it will lie.
  let owner: any PlannedOwner
  /// Its size.
  let floats: Int
  /// From when it is made until forward has read it; nil if backward makes it.
  var forward: ClosedRange<Int>?
  /// When backward needs it: of what forward made, all until the upper bound; nil if it does not.
  var backward: ClosedRange<Int>?
  /// Whether backward writes the values anew and forgets them in between.
  var isMadeAgain = false

  /// The same seen from a composite around this one.
  func shifted(forward ticks: Int, backward backwardTicks: Int) -> InnerBlock {
    func shift(_ range: ClosedRange<Int>?, _ by: Int) -> ClosedRange<Int>? {
      range.map { $0.lowerBound + by...$0.upperBound + by }
    }
    var block = self
    block.forward = shift(forward, ticks)
    block.backward = shift(backward, backwardTicks)
    return block
  }

  /// Its life on the clock on which the composite's forward, second forward and backward begin at these ticks.
  func lifetimes(forward start: Int, again: Int?, backward end: Int?) -> [ClosedRange<Int>] {
    guard let forward else {
      guard let backward, let end else { return [] }
      return [end + backward.lowerBound...end + backward.upperBound]
    }
    let life = start + forward.lowerBound...start + forward.upperBound
    guard let end else { return [life] }
    if isMadeAgain {
      let lives = [start, again].compactMap { $0 }.map { $0 + forward.lowerBound...$0 + forward.upperBound }
      return lives + (backward.map { [end + $0.lowerBound...end + $0.upperBound] } ?? [])
    }
    let read = backward.map { end + $0.upperBound }
    if let again {
      return [life, again + forward.lowerBound...max(again + forward.upperBound, read ?? 0)]
    }
    return [life.lowerBound...max(life.upperBound, read ?? 0)]
  }
}
