import Glibc

/// Sums of exponentials Σ exp(s), many at a time, for any s and in any order with the same digits.
///
/// Each sum is (high + low)·2^exponent: the powers of two are exact, and the sum of what rounding loses is kept (Neumaier,
/// 1974), so the result is the correctly rounded sum but for the rarest of cases, whatever the order of its terms and
/// however they were divided among ranks.
struct ExponentialSums {
  private(set) var exponents: [Int32]
  private(set) var highs: [Double]
  private(set) var lows: [Double]

  /// Beyond it scores are cut off: their exponents would not fit, and no network that works comes near.
  static let largestScore = 1e9

  /// Empty sums.
  init(count: Int) {
    exponents = Array(repeating: .min, count: count)
    highs = Array(repeating: 0, count: count)
    lows = highs
  }

  /// Sums as another rank holds them.
  init(exponents: [Int32], highs: [Double], lows: [Double]) {
    self.exponents = exponents
    self.highs = highs
    self.lows = lows
  }

  /// Adds exp(scores[i]) to sum first + i, for `count` of them.
  mutating func add(_ scores: UnsafePointer<Double>, first: Int, count: Int) {
    for i in 0..<count {
      // exp(s) = f·2^k, a function of s alone.
      let score = min(max(scores[i], -Self.largestScore), Self.largestScore)
      let k = (score * M_LOG2E).rounded(.down)
      add(exp(score - k * M_LN2), exponent: Int32(k), to: first + i)
    }
  }

  /// Adds the sums of another rank.
  mutating func add(_ other: ExponentialSums) {
    for index in highs.indices where other.exponents[index] != .min {
      add(other.highs[index], exponent: other.exponents[index], to: index)
      add(other.lows[index], exponent: other.exponents[index], to: index)
    }
  }

  /// log Σ exp(s); −∞ for an empty sum.
  func logarithm(_ index: Int) -> Double {
    guard exponents[index] != .min else { return -.infinity }
    return log(highs[index] + lows[index]) + Double(exponents[index]) * M_LN2
  }

  private mutating func add(_ term: Double, exponent: Int32, to index: Int) {
    if exponents[index] == .min { exponents[index] = exponent }
    var term = term
    if exponent > exponents[index] {
      let shift = Int(exponents[index]) - Int(exponent)
      highs[index] = scalbn(highs[index], shift)
      lows[index] = scalbn(lows[index], shift)
      exponents[index] = exponent
    } else if exponent < exponents[index] {
      term = scalbn(term, Int(exponent) - Int(exponents[index]))
    }
    (highs[index], lows[index]) = compensatedSum(highs[index], lows[index], term)
  }
}

/// (high + low) + term with what rounding loses kept in low (Neumaier, 1974).
func compensatedSum(_ high: Double, _ low: Double, _ term: Double) -> (high: Double, low: Double) {
  let sum = high + term
  let lost = abs(high) >= abs(term) ? (high - sum) + term : (term - sum) + high
  return (sum, low + lost)
}
