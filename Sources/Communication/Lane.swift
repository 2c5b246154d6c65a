/// One of the two queues in which a rank's collectives wait. Each keeps the order of the calls; neither waits for the other, so
/// that statistics, which backward waits for, overtake gradients that were handed over before.
public enum Lane: Int, Sendable, CaseIterable, CustomStringConvertible {
  /// Sums of gradients, and everything else that is no reduction of doubles.
  case gradients
  /// Reductions of doubles: statistics of layers, totals of a step, its guard. Small, and waited for soon.
  case statistics

  /// In a sentence: "the lane of …".
  public var description: String {
    switch self {
    case .gradients: "gradients"
    case .statistics: "statistics"
    }
  }
}
