import Tensors

/// How far a mean over filters would differ had other filters of the same kind been learned.
///
/// Percentile bootstrap (Efron 1979): the mean of as many values drawn with replacement, many times; the interval holds
/// the middle 95 % of these means. Values are those of filters, because the paper's figures are means over filters.
/// It says nothing about other images, and filters of one network are less independent than it takes them to be.
public struct Bootstrap: Sendable {
  /// Limits between which 95 % of the resampled means lie.
  public struct Interval: Sendable, Equatable, Codable {
    /// The limits.
    public let lower: Double, upper: Double

    /// From lower to upper.
    public init(lower: Double, upper: Double) {
      self.lower = lower
      self.upper = upper
    }

    /// Reads `[lower, upper]`.
    public init(from decoder: any Decoder) throws {
      var values = try decoder.unkeyedContainer()
      lower = try values.decode(Double.self)
      upper = try values.decode(Double.self)
    }

    /// Writes `[lower, upper]`.
    public func encode(to encoder: any Encoder) throws { try [lower, upper].encode(to: encoder) }
  }

  /// Means that are drawn.
  public static let resamples = 2000

  /// The interval of the mean of `values`; nil for fewer than two.
  ///
  /// - Parameter figure: names the random stream, so that each figure has its own.
  public static func interval(_ values: [Double], seed: UInt64, figure: UInt64) -> Interval? {
    guard values.count >= 2 else { return nil }
    var source = RandomSource(seed: seed, purpose: .evaluation, UInt64(2) << 32, figure)
    let means = (0..<resamples).map { _ in
      var sum = 0.0
      for _ in values.indices { sum += values[source.index(below: values.count)] }
      return sum / Double(values.count)
    }.sorted()
    let outside = resamples / 40
    return Interval(lower: means[outside], upper: means[resamples - 1 - outside])
  }
}
