import Glibc
import Tensors

/// The law by which a parameter's first values are drawn.
public enum Initializer: Equatable, Sendable {
  /// All values 0.
  case zeros
  /// All values the same.
  case constant(Float)
  /// Normal with mean 0; the papers' 0.01 for new layers.
  case normal(standardDeviation: Float)
  /// Normal with variance 2 / fan-in, for layers under a ReLU (He et al., ICCV 2015).
  case heNormal
  /// Uniform with variance 2 / (fan-in + fan-out) (Glorot & Bengio, AISTATS 2010, "Xavier").
  case xavierUniform

  /// Draws all values of a parameter.
  ///
  /// The stream is named by the seed and the parameter's name, and runs in canonical order: neither the layout in
  /// memory nor other parameters change what is drawn.
  public func initialize(_ parameter: Parameter, seed: UInt64) {
    var source = RandomSource(seed: seed, purpose: .initialization, StableHash.of(parameter.name))
    let (fanIn, fanOut) = Self.fans(parameter.shape)
    var values = [Float](repeating: 0, count: parameter.count)
    switch self {
    case .zeros: break
    case .constant(let value): values.withUnsafeMutableBufferPointer { $0.update(repeating: value) }
    case .normal(let deviation): Self.drawNormal(&values, Double(deviation), &source)
    case .heNormal: Self.drawNormal(&values, sqrt(2 / Double(fanIn)), &source)
    case .xavierUniform:
      let limit = Float(sqrt(6 / Double(fanIn + fanOut)))
      for index in values.indices { values[index] = source.uniform(-limit, limit) }
    }
    parameter.importValues(values)
  }

  /// Values that one output reads, and outputs that one input reaches, for weights [O, I, kh, kw] (I = input channels of
  /// one group) or [outputs, inputs].
  private static func fans(_ shape: [Int]) -> (in: Int, out: Int) {
    let kernel = shape.dropFirst(2).reduce(1, *)
    return (max((shape.count > 1 ? shape[1] : 1) * kernel, 1), max((shape.first ?? 1) * kernel, 1))
  }

  /// Pairs of normal numbers from pairs of uniform ones (Box & Muller 1958).
  private static func drawNormal(_ values: inout [Float], _ deviation: Double, _ source: inout RandomSource) {
    for first in stride(from: 0, to: values.count, by: 2) {
      let radius = sqrt(-2 * log((Double(source.next() >> 11) + 0.5) * 0x1p-53)) * deviation
      let angle = 2 * Double.pi * Double(source.next() >> 11) * 0x1p-53
      values[first] = Float(radius * cos(angle))
      if first + 1 < values.count { values[first + 1] = Float(radius * sin(angle)) }
    }
  }
}

extension ParameterStore {
  /// Draws all parameters, each by its own law; a pure function of the seed and the parameters' names.
  public func initialize(seed: UInt64) {
    for parameter in parameters { parameter.initializer.initialize(parameter, seed: seed) }
  }
}
