/// Whether a filter's peak moves with a part of the object: 1 if it follows the part wherever that is, 0 if it stays where it
/// is or moves by itself. Location instability alone does not tell a detector from a peak in the middle, near which most
/// parts are; this does.
///
/// With p the peak's and l the landmark's position on an image, both in pixels of the input:
///   r_{f,k} = Σ (p − p̄)·(l − l̄) / √(Σ |p − p̄|² · Σ |l − l̄|²)
/// over the images that `LocationInstability` takes for filter f and part k; r_f its maximum over the parts; the figure the
/// mean of r_f over the filters.
struct PartCorrelation {
  /// A position of the input, in pixels.
  typealias Point = (x: Double, y: Double)

  /// Fewest images that a correlation is taken of.
  static let leastImages = 3

  /// r of pairs of positions: 0 if all peaks are at one place; nil if there are too few, or all landmarks are at one place.
  func correlation(_ pairs: [(peak: Point, landmark: Point)]) -> Double? {
    guard pairs.count >= Self.leastImages else { return nil }
    let peaks = centred(pairs.map(\.peak))
    let landmarks = centred(pairs.map(\.landmark))
    let spread = (squares(peaks), squares(landmarks))
    guard spread.1 > 0 else { return nil }
    guard spread.0 > 0 else { return 0 }
    let product = zip(peaks, landmarks).reduce(0) { $0 + $1.0.x * $1.1.x + $1.0.y * $1.1.y }
    return product / (spread.0 * spread.1).squareRoot()
  }

  private func centred(_ points: [Point]) -> [Point] {
    let count = Double(points.count)
    let mean = (x: points.reduce(0) { $0 + $1.x } / count, y: points.reduce(0) { $0 + $1.y } / count)
    return points.map { ($0.x - mean.x, $0.y - mean.y) }
  }

  private func squares(_ points: [Point]) -> Double { points.reduce(0) { $0 + $1.x * $1.x + $1.y * $1.y } }
}
