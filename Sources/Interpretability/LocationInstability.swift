/// How much the distance between a filter's peak and a part of the object varies from image to image: small for a
/// filter that always looks at the same place of the object (Zhang et al., CVPR 2018, section 5.2, after Zhang et al.,
/// AAAI 2018).
///
/// d = |centre of the peak's receptive field − landmark| / diagonal of the input, on the `top` images with the highest
/// peak among those that show the landmark exactly once; D_{f,k} = √var d for filter f and part k; D_f its mean over the
/// parts; the reported figure the mean of D_f over the filters.
public struct LocationInstability: Codable, Sendable, Equatable {
  /// What the sum of squared differences from the mean over m images is divided by.
  public enum Divisor: String, Codable, Sendable, CaseIterable {
    /// m − 1, as the authors' code does.
    case sample
    /// m.
    case population
  }

  /// m − 1 unless told otherwise.
  public var divisor = Divisor.sample
  /// Most images of a filter and part; 100 in the paper.
  public var top = 100

  /// The authors' definition.
  public init(divisor: Divisor = .sample, top: Int = 100) {
    precondition(top >= 2, "LocationInstability: the top \(top) images; at least 2 are needed")
    self.divisor = divisor
    self.top = top
  }

  /// D_{f,k}: the standard deviation of the distances of the strongest images; nil with fewer than two.
  ///
  /// - Parameters:
  ///   - order: images, the one with the highest peak first.
  ///   - distance: of an image's peak to the landmark; nil if the image does not count.
  public func deviation(order: some Sequence<Int>, distance: (_ image: Int) -> Double?) -> Double? {
    deviation(Array(order.lazy.compactMap(distance).prefix(top)))
  }

  /// D_{f,k} of the distances on the strongest images; nil with fewer than two.
  func deviation(_ distances: [Double]) -> Double? {
    guard distances.count >= 2 else { return nil }
    let mean = distances.reduce(0, +) / Double(distances.count)
    let squares = distances.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return (squares / Double(distances.count - (divisor == .sample ? 1 : 0))).squareRoot()
  }

  /// D_f: the mean over the parts; nil, and the filter does not count, if one of them is undefined (the authors' rule).
  public func mean(overParts deviations: [Double?]) -> Double? {
    guard !deviations.isEmpty else { return nil }
    var sum = 0.0
    for deviation in deviations {
      guard let deviation else { return nil }
      sum += deviation
    }
    return sum / Double(deviations.count)
  }
}
