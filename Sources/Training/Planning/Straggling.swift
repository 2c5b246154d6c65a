import Foundation

/// How late the slowest of many is.
enum Straggling {
  /// Expected largest of `count` independent standard normal numbers, after Blom (1958): Φ⁻¹((n − 0.375) / (n + 0.25)). Within 0.03 of
  /// the truth for all n.
  static func expectedMaximum(of count: Int) -> Double {
    guard count > 1 else { return 0 }
    return normalQuantile((Double(count) - 0.375) / (Double(count) + 0.25))
  }

  /// Φ⁻¹, by bisection of erfc.
  static func normalQuantile(_ probability: Double) -> Double {
    precondition(probability > 0 && probability < 1)
    var (lower, upper) = (-40.0, 40.0)
    for _ in 0..<100 {
      let middle = (lower + upper) / 2
      if erfc(-middle / 2.0.squareRoot()) / 2 < probability { lower = middle } else { upper = middle }
    }
    return (lower + upper) / 2
  }
}
