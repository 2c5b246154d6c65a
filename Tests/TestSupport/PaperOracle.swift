import Foundation

/// The paper's filter loss in Double, loop by loop from its definitions: probabilities as such, no logarithm until
/// the definition has one. For moderate activations only; independent of the library.
public struct PaperOracle: Sendable {
  /// Images, rows and columns of one filter's maps.
  public let images: Int, height: Int, width: Int
  /// β of the templates.
  public let beta: Double

  /// An oracle for one filter with maps of that size.
  public init(images: Int, height: Int, width: Int, beta: Double) {
    self.images = images
    self.height = height
    self.width = width
    self.beta = beta
  }

  /// Number of templates.
  public var count: Int { height * width + 1 }
  /// Peak of the templates.
  public var tau: Double { 0.5 / Double(height * width) }

  /// Template k at a cell; the last one is the negative one.
  public func template(_ k: Int, _ i: Int, _ j: Int) -> Double {
    if k == height * width { return -tau }
    let rows = abs(Double(i - k / width)) / Double(height)
    let columns = abs(Double(j - k % width)) / Double(width)
    let value = 1 - beta * (rows + columns)
    return value > -1 ? tau * value : -tau
  }

  /// s_T(x) = Σ x·T.
  func score(_ x: [Double], _ n: Int, _ k: Int) -> Double {
    var sum = 0.0
    for i in 0..<height {
      for j in 0..<width { sum += x[(n * height + i) * width + j] * template(k, i, j) }
    }
    return sum
  }

  /// p(x|T) as [image][template].
  func likelihoods(_ x: [Double]) -> [[Double]] {
    let weights = (0..<images).map { n in (0..<count).map { exp(score(x, n, $0)) } }
    let totals = (0..<count).map { k in weights.map { $0[k] }.reduce(0, +) }
    return weights.map { row in zip(row, totals).map { $0 / $1 } }
  }

  /// −Σ_T p(T) Σ_x p(x|T) log[p(x|T)/p(x)] of the maps x, [N, H, W].
  public func loss(_ x: [Double]) -> Double {
    let p = likelihoods(x)
    let prior = 1 / Double(count)
    var sum = 0.0
    for n in 0..<images {
      let px = p[n].map { prior * $0 }.reduce(0, +)
      for k in 0..<count { sum -= prior * p[n][k] * log(p[n][k] / px) }
    }
    return sum
  }

  /// −H(T), H(T'|X) and Σ p(T⁺, x) H(T⁺|X = x), whose sum is the loss.
  public func terms(_ x: [Double]) -> (prior: Double, interCategory: Double, spatial: Double) {
    let p = likelihoods(x)
    let prior = 1 / Double(count)
    var interCategory = 0.0
    var spatial = 0.0
    for n in 0..<images {
      let px = p[n].map { prior * $0 }.reduce(0, +)
      let posterior = p[n].map { prior * $0 / px }
      let negative = posterior[count - 1]
      let positive = posterior.dropLast().reduce(0, +)
      interCategory -= px * (positive * log(positive) + negative * log(negative))
      var entropy = 0.0
      for value in posterior.dropLast() { entropy -= value / positive * log(value / positive) }
      spatial += px * positive * entropy
    }
    return (-log(Double(count)), interCategory, spatial)
  }

  /// −Σ_T p(T) t_ij p(x|T) r_T(x): the gradient with Z held constant, [N, H, W].
  public func gradientWithConstantZ(_ x: [Double]) -> [Double] {
    let p = likelihoods(x)
    let prior = 1 / Double(count)
    var gradient = Array(repeating: 0.0, count: x.count)
    for n in 0..<images {
      let px = p[n].map { prior * $0 }.reduce(0, +)
      for i in 0..<height {
        for j in 0..<width {
          for k in 0..<count {
            gradient[(n * height + i) * width + j] -= prior * template(k, i, j) * p[n][k] * log(p[n][k] / px)
          }
        }
      }
    }
    return gradient
  }

  /// −p(T̂) t̂_ij p(x|T̂) r_T̂(x), T̂ the template at the first maximum of an image whose entry in `isOwn` is true, the
  /// negative template of others: the single-term gradient, [N, H, W].
  public func singleTermGradient(_ x: [Double], isOwn: [Bool]) -> [Double] {
    let p = likelihoods(x)
    let prior = 1 / Double(count)
    let cells = height * width
    var gradient = Array(repeating: 0.0, count: x.count)
    for n in 0..<images {
      let px = p[n].map { prior * $0 }.reduce(0, +)
      var k = cells
      if isOwn[n] {
        k = 0
        for cell in 0..<cells where x[n * cells + cell] > x[n * cells + k] { k = cell }
      }
      for i in 0..<height {
        for j in 0..<width {
          gradient[(n * height + i) * width + j] = -prior * template(k, i, j) * p[n][k] * log(p[n][k] / px)
        }
      }
    }
    return gradient
  }
}
