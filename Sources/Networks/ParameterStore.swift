import Tensors

/// All parameters of a network in one arena, all gradients in another, laid out in the order of the layers.
///
/// Backward therefore finishes gradients from the end of the arena to its front: a bucket of the all-reduce is a
/// contiguous range, the update is one loop, a checkpoint one pass.
public final class ParameterStore {
  /// In the order of the layers, which is the order in the arenas.
  public let parameters: [Parameter]
  /// Values in one arena, padding included; a multiple of 16.
  public let count: Int
  /// Where the optimiser keeps its velocities; nil: in memory of its own.
  let velocityArena: UnsafeMutablePointer<Float>?
  private let valueArena: UnsafeMutablePointer<Float>
  private let gradientArena: UnsafeMutablePointer<Float>
  private let ownedValues: AlignedBuffer<Float>
  private let ownedGradients: AlignedBuffer<Float>
  private let ownedFactors: AlignedBuffer<Float>

  /// Lays out `parameters` and gives them memory, all zero.
  /// - Parameter arenas: the memory, for instance in a window that ranks of a node share; by default the store's own.
  public init(_ parameters: [Parameter], arenas: ParameterArenas.Source = ParameterArenas.Source()) {
    var names: Set<String> = []
    var offset = 0
    for parameter in parameters {
      precondition(names.insert(parameter.name).inserted, "two parameters are named \(parameter.name)")
      parameter.offset = offset
      offset += (parameter.storedCount + 15) / 16 * 16
    }
    self.parameters = parameters
    count = offset
    let factorCounts = parameters.map { $0.factorCount(images: arenas.factorImages) }
    let factorCount = factorCounts.reduce(0, +)
    let given = arenas.allocate?(count, factorCount)
    ownedFactors = AlignedBuffer(count: given == nil ? factorCount : 0)
    ownedValues = AlignedBuffer(count: given == nil ? count : 0)
    ownedGradients = AlignedBuffer(count: given == nil ? count : 0)
    valueArena = given?.values ?? ownedValues.pointer
    gradientArena = given?.gradients ?? ownedGradients.pointer
    velocityArena = given?.velocities
    for parameter in parameters {
      parameter.values = valueArena + parameter.offset
      parameter.gradients = gradientArena + parameter.offset
    }
    guard factorCount > 0, var memory = given == nil ? ownedFactors.pointer : given?.factors else { return }
    for (parameter, count) in zip(parameters, factorCounts) where count > 0 {
      parameter.factors = GradientFactors(
        inputs: parameter.shape[1], outputs: parameter.shape[0], images: arenas.factorImages, memory: memory)
      memory += count
    }
  }

  /// The whole value arena.
  public var values: UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(start: valueArena, count: count)
  }

  /// The whole gradient arena.
  public var gradients: UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(start: gradientArena, count: count)
  }

  /// Learned values, without padding: the count that papers state.
  public var parameterCount: Int { parameters.reduce(0) { $0 + $1.count } }

  /// What an update by one rank reads and writes: values and velocities both ways, and the gradients that are written out.
  public var updateBytes: Int {
    let written = parameters.reduce(0) { $0 + ($1.factors == nil ? $1.storedCount : 0) }
    return MemoryLayout<Float>.stride * (4 * count + written)
  }

  /// Sets all gradients to zero.
  public func zeroGradients() { gradients.update(repeating: 0) }

  /// The parameter of that name, if there is one.
  public func parameter(named name: String) -> Parameter? { parameters.first { $0.name == name } }
}
