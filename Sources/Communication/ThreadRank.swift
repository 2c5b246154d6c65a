import Glibc

/// A rank that is a thread of this process: one of an `InProcessGroup`, or a shard of a `ShardGroup`.
final class ThreadRank: QueuedCommunicator {
  let rank: Int
  let size: Int
  let processCount: Int
  let thread: CommunicationThread
  let windowRefusal: String?
  var localRank: Int { rank - meeting.firstRank }
  var localSize: Int { meeting.size }

  private let meeting: Meeting
  private let finalized = PthreadOnce()

  /// The rank that is thread `index` of those that meet in `meeting`.
  init(index: Int, meeting: Meeting) {
    rank = meeting.firstRank + index
    size = meeting.size * meeting.processCount
    processCount = meeting.isOfShards ? meeting.processCount : size
    windowRefusal = meeting.isOfShards ? nil : "ranks are threads of one process"
    self.meeting = meeting
    let heartbeat = Heartbeat(
      onPhase: meeting.phases.map { phases in { phases.enter(index, $0, step: $1) } })
    // Twice as many threads as ranks: polling would only keep the others from running.
    thread = CommunicationThread(
      engine: ThreadRankEngine(index: index, meeting: meeting), spins: false, heartbeat: heartbeat,
      permits: meeting.permits)
  }

  func finalize() {
    guard finalized.first() else { return }
    meeting.leave(index: rank - meeting.firstRank)
    thread.stop()
  }

  func abort(code: Int32) -> Never {
    meeting.outer?.abort(code: code)
    exit(code)
  }
}

/// True for the first caller only.
private final class PthreadOnce: @unchecked Sendable {
  private let mutex = PthreadMutex()
  private var done = false

  func first() -> Bool {
    mutex.withLock {
      defer { done = true }
      return !done
    }
  }
}

private final class ThreadRankEngine: CollectiveEngine {
  private let index: Int
  private let meeting: Meeting

  init(index: Int, meeting: Meeting) {
    self.index = index
    self.meeting = meeting
  }

  func perform(_ collective: Collective) throws(CommunicationError) {
    if collective.kind != .stop { try meeting.join(index: index, collective) }
  }
}
