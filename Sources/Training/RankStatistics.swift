import Communication
import Networks

/// The layers' statistics exchange over a communicator.
public final class RankStatistics: StatisticsExchange {
  private let communicator: any Communicator
  private let pending: UnsafeMutablePointer<PendingReduction>
  private var occupied: UInt64 = 0

  /// An exchange among the communicator's ranks.
  public init(_ communicator: any Communicator) {
    self.communicator = communicator
    pending = .allocate(capacity: StatisticsTicket.limit)
  }

  deinit {
    // After an error reductions may be left: nobody reads their memory any more.
    pending.deallocate()
  }

  /// Starts the reduction in the lane of statistics.
  public func start(_ values: UnsafeMutableBufferPointer<Double>, _ operation: StatisticsOperation) throws
    -> StatisticsTicket
  {
    let slot = (~occupied).trailingZeroBitCount
    precondition(slot < StatisticsTicket.limit, "more than \(StatisticsTicket.limit) reductions under way")
    (pending + slot).initialize(to: communicator.startAllReduce(values, Self.reduction(operation)))
    occupied |= 1 << UInt64(slot)
    return StatisticsTicket(number: slot)
  }

  /// Blocks until the reduction is done.
  public func finish(_ ticket: StatisticsTicket) throws {
    let bit: UInt64 = 1 << UInt64(ticket.number)
    precondition(occupied & bit != 0, "ticket \(ticket.number) names no reduction under way")
    occupied &= ~bit
    try (pending + ticket.number).move().wait()
  }

  private static func reduction(_ operation: StatisticsOperation) -> ReductionOperation {
    switch operation {
    case .sum: .sum
    case .maximum: .maximum
    case .logSumExp: .logSumExp
    }
  }
}
