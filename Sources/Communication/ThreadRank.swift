import Glibc

/// A rank that is a thread of this process: one of an `InProcessGroup`, or a shard of a `ShardGroup`.
final class ThreadRank: QueuedCommunicator {
  let rank: Int
  let size: Int
  let processCount: Int
  let lanes: CommunicationLanes
  let windowRefusal: String?
  var localRank: Int { rank - group.firstRank }
  var localSize: Int { group.size }

  private let group: ThreadGroup
  private let finalized = PthreadOnce()

  /// The rank that is thread `index` of the group.
  init(index: Int, group: ThreadGroup) {
    rank = group.firstRank + index
    size = group.size * group.processCount
    processCount = group.isOfShards ? group.processCount : size
    windowRefusal = group.isOfShards ? nil : "ranks are threads of one process"
    self.group = group
    let heartbeat = Heartbeat(
      onPhase: group.phases.map { phases in { phases.enter(index, $0, step: $1) } })
    let fault = LaneFault(heartbeat)
    // More threads than ranks: polling would only keep the others from running.
    func thread(_ lane: Lane) -> CommunicationThread {
      CommunicationThread(
        lane, engine: ThreadRankEngine(index: index, meeting: group[lane]), spins: false,
        heartbeat: heartbeat,
        fault: fault, observer: ThreadRankObserver(index: index, group: group))
    }
    lanes = CommunicationLanes(gradients: thread(.gradients), statistics: thread(.statistics))
    group.join(index: index, lanes)
  }

  func finalize() {
    guard finalized.first() else { return }
    group.leave(index: rank - group.firstRank)
    lanes.stop()
  }

  func abort(code: Int32) -> Never {
    group.outer?.abort(code: code)
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

/// Lets another rank compute while this one waits, and its group know.
private final class ThreadRankObserver: WaitObserver {
  private let index: Int
  private let group: ThreadGroup

  init(index: Int, group: ThreadGroup) {
    self.index = index
    self.group = group
  }

  func waits(for ticket: UInt64, of lane: Lane) {
    group.permits?.release()
    group.waits(index: index, for: (lane, ticket))
  }

  func goesOn() {
    group.waits(index: index, for: nil)
    group.permits?.acquire()
  }

  func isDone() { group.failIfNobodyGoesOn() }
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
