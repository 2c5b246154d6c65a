/// How values of several ranks become one.
public enum ReductionOperation: UInt8, Sendable {
  case sum
  case minimum
  case maximum
  /// log Σ exp, elementwise over ranks: the sum of numbers that are kept as logarithms. −∞ is its zero.
  case logSumExp
}

/// The ranks that train together. It knows no tensors: spans of floats, bytes.
///
/// Operations are named after MPI's. All ranks must call the same operations in the same order with the same
/// counts. Operations of one `Lane` are carried out in the order of the calls by a thread, so a `start…` lets the caller go
/// on computing; reductions of doubles have a lane of their own. Results are bitwise identical on all ranks.
public protocol Communicator: AnyObject, Sendable {
  /// This process's number, 0..<size. Rank 0 speaks and writes.
  var rank: Int { get }
  /// Number of ranks.
  var size: Int { get }
  /// Number of processes: fewer than ranks where these are shards (`ShardGroup`).
  var processCount: Int { get }
  /// This process's number among the ranks on its host, 0..<localSize.
  var localRank: Int { get }
  /// Number of ranks on this host.
  var localSize: Int { get }
  /// Number of collective operations this rank has asked for in a lane: equal on all ranks at the same place of the
  /// program (see `StepGuard`).
  func operationCount(of lane: Lane) -> UInt64
  /// What this rank is doing, for those who wait for it.
  var heartbeat: Heartbeat { get }

  /// Replaces `values` by their elementwise reduction over all ranks, in the background.
  /// The memory must stay valid and untouched until the pending reduction has been waited on.
  func startAllReduce(_ values: UnsafeMutableBufferPointer<Float>, _ operation: ReductionOperation)
    -> PendingReduction
  /// The same in Double.
  func startAllReduce(_ values: UnsafeMutableBufferPointer<Double>, _ operation: ReductionOperation)
    -> PendingReduction
  /// The way in which this rank's gradients become the sum over all ranks; see `GradientExchange`.
  func gradientExchange(_ path: ReductionPath, _ precision: ExchangePrecision) -> GradientExchange
  /// Copies `bytes` of rank `root` to all ranks.
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, root: Int) throws(CommunicationError)
  /// Each rank's bytes (of any length), in the order of ranks, on every rank.
  func allGather(_ bytes: [UInt8]) throws(CommunicationError) -> [[UInt8]]
  /// Returns when every rank has called it.
  func barrier() throws(CommunicationError)
  /// From now on a wait for other ranks that makes no progress for `stallTimeoutSeconds` ends this process with code 75
  /// and words on who is missing; see `StallRule`. Once, by all ranks. 0: never. One process waits for nobody.
  func watch(stallTimeoutSeconds: Double)
  /// Orderly end; all ranks call it once, and nothing else afterwards.
  func finalize()
  /// Ends all ranks at once with the given exit code. Never returns.
  func abort(code: Int32) -> Never
}

extension Communicator {
  /// One process a rank.
  public var processCount: Int { size }

  /// Nobody to wait for.
  public func watch(stallTimeoutSeconds: Double) {}

  /// Blocking all-reduce of a small array.
  public func allReduce(_ values: [Double], _ operation: ReductionOperation) throws(CommunicationError)
    -> [Double]
  {
    let copy = UnsafeMutableBufferPointer<Double>.allocate(capacity: values.count)
    defer { copy.deallocate() }
    _ = copy.initialize(from: values)
    try startAllReduce(copy, operation).wait()
    return Array(copy)
  }
}
