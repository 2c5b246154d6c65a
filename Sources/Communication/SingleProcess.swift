import Glibc

/// One rank, no MPI, no thread: every operation is done when it is asked for.
public final class SingleProcess: Communicator {
  /// Always 0.
  public let rank = 0
  /// Always 1.
  public let size = 1
  /// Always 0.
  public let localRank = 0
  /// Always 1: this process stands alone.
  public let localSize = 1
  /// Always 0: nothing can get out of step.
  public func operationCount(of lane: Lane) -> UInt64 { 0 }
  /// Seen by nobody.
  public let heartbeat = Heartbeat()

  /// Makes the communicator of a program that trains alone.
  public init() {}

  /// The values are their own reduction.
  public func startAllReduce(_ values: UnsafeMutableBufferPointer<Float>, _ operation: ReductionOperation)
    -> PendingReduction
  { PendingReduction() }

  /// The same in Double.
  public func startAllReduce(_ values: UnsafeMutableBufferPointer<Double>, _ operation: ReductionOperation)
    -> PendingReduction
  { PendingReduction() }

  /// The gradients are their own sum.
  public func gradientExchange(_ path: ReductionPath, _ precision: ExchangePrecision) -> GradientExchange {
    GradientExchange()
  }

  /// Leaves `bytes` as they are.
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, root: Int) throws(CommunicationError) {
    precondition(root == 0, "broadcast from rank \(root) of 1")
  }

  /// This rank's bytes.
  public func allGather(_ bytes: [UInt8]) throws(CommunicationError) -> [[UInt8]] { [bytes] }

  /// Returns at once.
  public func barrier() throws(CommunicationError) {}

  /// Nothing to end.
  public func finalize() {}

  /// Ends the process.
  public func abort(code: Int32) -> Never { exit(code) }
}
