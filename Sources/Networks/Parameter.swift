import Tensors

/// How a parameter's values are ordered in the arena; files always hold the canonical order.
public enum ParameterLayout: Equatable, Sendable {
  /// As in files: vectors [F], matrices [out, in] row-major.
  case plain
  /// Convolution weights [O, I, kh, kw] (I = input channels of one group) stored as
  /// [O/16][I/16][kh][kw][16 i][16 o], both channel counts padded with zeros to multiples of 16.
  case blockedWeights
  /// First-layer weights [O, I, kh, kw] for interleaved images, stored as [O/16][kh][kw][I][16 o].
  case interleavedWeights
  /// Dense-expanded grouped weights: logically [O, I/groups, kh, kw], stored as `blockedWeights` of the
  /// ungrouped convolution with zeros outside the groups. For groups whose width is no multiple of 16.
  case expandedGroups(Int)
  /// A vector [F] padded with zeros to a multiple of 16.
  case blockedVector
}

/// One learned array: a view into the arenas of a `ParameterStore`.
///
/// Layers create their parameters when they are built; the store gives them memory. Who sets a gradient and who adds to it
/// is told by `Layer.overwritesGradients`.
public final class Parameter {
  /// Name in files, unique in a network: torchvision's where it has one ("features.0.weight").
  public let name: String
  /// Canonical shape, as in files.
  public let shape: [Int]
  /// Order in the arena.
  public let layout: ParameterLayout
  /// Law of its first values; set by its layer, or by the architecture that knows better.
  public var initializer = Initializer.zeros
  /// Factor on the learning rate.
  public var learningRateMultiplier: Float
  /// Factor on the weight decay; 0 for most biases.
  public var weightDecayMultiplier: Float
  /// First value in the value arena. Valid once the parameter has a store.
  public internal(set) var values: UnsafeMutablePointer<Float>
  /// First value in the gradient arena. Valid once the parameter has a store.
  public internal(set) var gradients: UnsafeMutablePointer<Float>
  /// Offset in both arenas, a multiple of 16 values.
  public internal(set) var offset = 0
  /// Whether its layer's backward may keep factors instead of the gradient: the weights of a linear layer.
  let mayKeepFactors: Bool
  /// Where they are kept; nil: the gradient is written out.
  public internal(set) var factors: GradientFactors?

  /// A parameter without memory yet.
  public init(
    _ name: String, shape: [Int], layout: ParameterLayout = .plain, learningRateMultiplier: Float = 1,
    weightDecayMultiplier: Float = 1, mayKeepFactors: Bool = false
  ) {
    self.name = name
    self.shape = shape
    self.layout = layout
    self.learningRateMultiplier = learningRateMultiplier
    self.weightDecayMultiplier = weightDecayMultiplier
    self.mayKeepFactors = mayKeepFactors
    self.values = UnsafeMutablePointer(bitPattern: MemoryLayout<Float>.alignment)!
    self.gradients = self.values
  }

  /// Learned values, without padding: the count that papers state.
  public var count: Int { shape.reduce(1, *) }

  /// Values in the arena, padding included.
  public var storedCount: Int {
    let padded = { (n: Int) in (n + 15) / 16 * 16 }
    switch layout {
    case .plain: return count
    case .blockedVector: return padded(count)
    case .blockedWeights: return padded(shape[0]) * padded(shape[1]) * shape[2] * shape[3]
    case .interleavedWeights: return padded(shape[0]) * shape[1] * shape[2] * shape[3]
    case .expandedGroups(let groups):
      return padded(shape[0]) * padded(shape[1] * groups) * shape[2] * shape[3]
    }
  }

  /// Floats for the factors of its gradient over `images`; 0 if it has none.
  func factorCount(images: Int) -> Int {
    guard mayKeepFactors && images > 0 else { return 0 }
    return GradientFactors.count(inputs: shape[1], outputs: shape[0], images: images)
  }

  /// Offset in the parameter's memory of the value whose canonical index is `index`.
  func storedIndex(_ index: Int) -> Int {
    guard !isStoredCanonically else { return index }
    let kw = shape[3]
    let kh = shape[2]
    let x = index % kw
    let y = index / kw % kh
    let i = index / (kw * kh) % shape[1]
    let o = index / (kw * kh * shape[1])
    switch layout {
    case .plain, .blockedVector: return index
    case .interleavedWeights:
      return (((o / 16 * kh + y) * kw + x) * shape[1] + i) * 16 + o % 16
    case .blockedWeights, .expandedGroups:
      var groups = 1
      if case .expandedGroups(let count) = layout { groups = count }
      let input = i + o / (shape[0] / groups) * (groups == 1 ? 0 : shape[1])
      let inputBlocks = ((groups == 1 ? shape[1] : shape[1] * groups) + 15) / 16
      return ((((o / 16) * inputBlocks + input / 16) * kh + y) * kw + x) * 256 + input % 16 * 16 + o % 16
    }
  }

  /// The values in canonical order, as files hold them.
  public func exportValues() -> [Float] { export(values) }

  /// The gradients in canonical order; for tests and the debug mode.
  public func exportGradients() -> [Float] { export(gradients) }

  private func export(_ stored: UnsafePointer<Float>) -> [Float] {
    [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      canonical(from: stored, into: buffer.baseAddress!)
      initialized = count
    }
  }

  /// Sets the values from canonical order; padding becomes zero.
  public func importValues(_ canonical: [Float]) {
    precondition(
      canonical.count == count, "Parameter \(name): \(canonical.count) values for the shape \(shape)")
    canonical.withUnsafeBufferPointer { stored(from: $0.baseAddress!, into: values) }
  }

  /// Copies a whole arena-ordered array (values, momentum, …) to canonical order.
  public func canonical(from stored: UnsafePointer<Float>, into result: UnsafeMutablePointer<Float>) {
    if isStoredCanonically { return result.update(from: stored, count: count) }
    for index in 0..<count { result[index] = stored[storedIndex(index)] }
  }

  /// Copies canonical values into arena order; padding becomes zero.
  public func stored(from canonical: UnsafePointer<Float>, into result: UnsafeMutablePointer<Float>) {
    result.update(repeating: 0, count: storedCount)
    if isStoredCanonically { return result.update(from: canonical, count: count) }
    for index in 0..<count { result[storedIndex(index)] = canonical[index] }
  }

  /// True if the arena's order is the canonical one (but for padding at the end).
  private var isStoredCanonically: Bool { layout == .plain || layout == .blockedVector }
}
