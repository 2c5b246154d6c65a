/// How statistics of several ranks become one. All travel as sums, maxima or logarithms of sums, never as means.
public enum StatisticsOperation: Sendable {
  case sum
  case maximum
  /// log Σ exp over ranks of numbers kept as logarithms; −∞ is its zero.
  case logSumExp
}

/// Reductions that layers need over all ranks: batch-norm sums, category statistics, normalisers.
///
/// `Networks` knows no ranks: with one process every operation returns at once. All ranks run the same layers in the
/// same order, so calls need no names. Values are Double and are reduced in place; an operation started in forward
/// may be finished in backward. At most `StatisticsTicket.limit` operations are under way at a time.
public protocol StatisticsExchange: AnyObject {
  /// Starts the reduction of `values`; they must stay in place, untouched, until `finish`.
  func start(_ values: UnsafeMutableBufferPointer<Double>, _ operation: StatisticsOperation) throws
    -> StatisticsTicket
  /// Blocks until the reduction is done.
  func finish(_ ticket: StatisticsTicket) throws
}

extension StatisticsExchange {
  /// Starts a reduction and waits for it.
  public func reduce(_ values: UnsafeMutableBufferPointer<Double>, _ operation: StatisticsOperation) throws {
    try finish(start(values, operation))
  }
}

/// Names a reduction under way.
public struct StatisticsTicket: Sendable {
  /// Most operations that may be under way at a time.
  public static let limit = 64
  /// A number that the exchange understands.
  public let number: Int

  /// A ticket of that number.
  public init(number: Int) { self.number = number }
}

/// The exchange of a single process: the sums are its own.
public final class LocalStatistics: StatisticsExchange {
  /// The exchange of one rank.
  public init() {}
  /// Does nothing: the values are the reduction already.
  public func start(_ values: UnsafeMutableBufferPointer<Double>, _ operation: StatisticsOperation)
    -> StatisticsTicket
  { StatisticsTicket(number: 0) }
  /// Returns at once.
  public func finish(_ ticket: StatisticsTicket) {}
}
