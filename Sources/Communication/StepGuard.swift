/// The check that every training step carries: all ranks are at the same step, have asked for the same number of
/// collectives in each lane, hold the same parameters, and stop together.
///
/// MPI does not notice collectives that are called in another order or left out: they pair up with the next ones
/// and give wrong numbers. One all-reduce of nine doubles does. It is started in the background and waited for
/// when the step is done; a step allocates nothing.
///
/// Not thread-safe: belongs to the thread that trains.
public final class StepGuard {
  private let communicator: any Communicator
  private let values = UnsafeMutableBufferPointer<Double>.allocate(capacity: StepGuard.stopIndex + 1)
  private var pending: PendingReduction?

  /// A number v below 2^32 of rank r travels as v · 2^20 + r, exact in a Double, so that the extremes name ranks.
  private static let rankLimit = 1_048_576.0
  private static let fieldNames = ["step", "number of collectives", "number of statistics", "parameter hash"]
  /// Behind two numbers a field.
  private static let stopIndex = 2 * fieldNames.count

  /// A guard over the ranks of `communicator`, at most 2^20.
  public init(_ communicator: any Communicator) {
    precondition(
      Double(communicator.size) <= Self.rankLimit, "\(communicator.size) ranks, limit \(Self.rankLimit)")
    self.communicator = communicator
    values.initialize(repeating: 0)
  }

  deinit {
    // A step that failed elsewhere leaves its check under way; the values must outlive it.
    try? pending.take()?.wait()
    values.deallocate()
  }

  /// Starts the check of one step. All ranks call it at the same place of the step.
  ///
  /// - step: the number of this step, below 2^32.
  /// - parameterHash: any hash of the parameters (or 0 on all ranks).
  /// - stopRequested: whether this rank has been asked to stop, by a signal.
  public func start(step: Int, parameterHash: UInt64, stopRequested: Bool) {
    precondition(pending == nil, "step \(step): the check of the step before has not been waited for")
    precondition(step >= 0 && step < 1 << 32, "step \(step), expected 0..<2^32")
    set(0, UInt64(step))
    set(1, communicator.operationCount(of: .gradients) & 0xFFFF_FFFF)
    set(2, communicator.operationCount(of: .statistics) & 0xFFFF_FFFF)
    set(3, (parameterHash >> 32) ^ (parameterHash & 0xFFFF_FFFF))
    values[Self.stopIndex] = stopRequested ? 1 : 0
    pending = communicator.startAllReduce(values, .maximum)
  }

  /// Waits for the check. Returns, alike on all ranks, whether any of them has been asked to stop.
  ///
  /// Throws `mismatchedCollectives` (exit code 70) on all ranks when they are out of step.
  public func wait() throws(CommunicationError) -> Bool {
    precondition(pending != nil, "no check has been started")
    try pending.take()!.wait()
    for field in Self.fieldNames.indices {
      let most = values[2 * field]
      let least = -values[2 * field + 1]
      // Written so that a NaN, left by a reduction that met another, is a difference too.
      let sameValue = (most / Self.rankLimit).rounded(.down) == (least / Self.rankLimit).rounded(.down)
      if !sameValue { throw outOfStep(field, least: least, most: most) }
    }
    return values[Self.stopIndex] > 0
  }

  /// The maximum of −x is the minimum of x: one reduction finds both.
  private func set(_ field: Int, _ value: UInt64) {
    let tagged = Double(value) * Self.rankLimit + Double(communicator.rank)
    values[2 * field] = tagged
    values[2 * field + 1] = -tagged
  }

  private func outOfStep(_ field: Int, least: Double, most: Double) -> CommunicationError {
    func describe(_ tagged: Double) -> String {
      guard let tagged = UInt64(exactly: tagged) else { return "unreadable (\(tagged))" }
      let limit = UInt64(Self.rankLimit)
      let value = field == 3 ? "0x" + String(tagged / limit, radix: 16) : String(tagged / limit)
      return "\(value) on rank \(tagged % limit)"
    }
    return .mismatchedCollectives(
      detail: "\(Self.fieldNames[field]): \(describe(least)), \(describe(most))")
  }
}
