import Glibc

/// One rank that goes through everything that one of many does, alone: every collective is asked for, carried out by
/// threads of their own, and waited for, but nothing is sent. What a step takes then is computation and hand-over.
///
/// The other ranks are taken to hold what this one holds: a sum of doubles is `size` times as large. Floats are left as they are.
public final class Rehearsal: QueuedCommunicator {
  /// Always 0.
  public let rank = 0
  /// Ranks that this one pretends to be among.
  public let size: Int
  /// As if every rank had a host of its own.
  public let localRank = 0
  /// The same.
  public let localSize = 1
  let lanes: CommunicationLanes
  let windowRefusal: String? = "the other ranks are not there"

  /// A rank among `size`.
  public init(size: Int) {
    self.size = size
    let heartbeat = Heartbeat()
    func thread(_ lane: Lane) -> CommunicationThread {
      CommunicationThread(lane, engine: RehearsalEngine(size: size), spins: false, heartbeat: heartbeat)
    }
    lanes = CommunicationLanes(gradients: thread(.gradients), statistics: thread(.statistics))
  }

  /// Ends the threads.
  public func finalize() { lanes.stop() }

  /// Ends the process.
  public func abort(code: Int32) -> Never { exit(code) }
}

private final class RehearsalEngine: CollectiveEngine {
  private let size: Int

  init(size: Int) { self.size = size }

  func perform(_ collective: Collective) {
    switch collective.kind {
    case .allReduceDouble: reduce(collective)
    case .allGather: gather(collective)
    case .allReduceFloat, .sumBFloat16, .broadcast, .barrier, .start, .stop: break
    case .openWindow, .windowSum, .windowFinish, .windowUpdated:
      preconditionFailure("\(collective) without other ranks")
    }
  }

  private func reduce(_ collective: Collective) {
    let values = UnsafeMutableBufferPointer(
      start: collective.buffer!.assumingMemoryBound(to: Double.self), count: collective.count)
    switch collective.operation {
    case .sum: for i in values.indices { values[i] *= Double(size) }
    case .logSumExp: for i in values.indices { values[i] += log(Double(size)) }
    case .minimum, .maximum: break
    }
  }

  private func gather(_ collective: Collective) {
    for rank in 0..<size {
      memcpy(collective.buffer! + rank * collective.count, collective.source!, collective.count)
    }
  }
}
