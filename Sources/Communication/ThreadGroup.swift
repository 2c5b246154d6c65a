/// Ranks that are threads of one process: what they have in common, and where they meet, lane by lane.
final class ThreadGroup: Sendable {
  /// Threads of this process.
  let size: Int
  /// Ranks of other processes lie before this.
  let firstRank: Int
  /// Processes whose threads belong together.
  let processCount: Int
  /// Whether ranks are shards.
  let isOfShards: Bool
  /// The processes; nil if there is but one.
  let outer: (any QueuedCommunicator)?
  /// Who may compute; nil: all.
  let permits: Permits?
  /// What the other processes see of this one's shards.
  let phases: ShardPhases?
  private let mutex = PthreadMutex()
  /// Guarded by `mutex`.
  private nonisolated(unsafe) var members: [Member]
  /// By `Lane.rawValue`.
  private nonisolated(unsafe) var meetings: [Meeting] = []

  /// Of an `InProcessGroup`.
  init(size: Int) {
    self.size = size
    firstRank = 0
    processCount = 1
    isOfShards = false
    outer = nil
    permits = nil
    phases = nil
    members = Array(repeating: Member(), count: size)
    meetings = Lane.allCases.map { _ in Meeting(of: self) }
  }

  /// Of the shards of one process.
  init(size: Int, outer: (any QueuedCommunicator)?, permits: Permits) {
    self.size = size
    self.outer = outer
    self.permits = permits
    phases = outer.map { ShardPhases(count: size, of: $0.heartbeat) }
    isOfShards = true
    processCount = outer?.size ?? 1
    firstRank = (outer?.rank ?? 0) * size
    members = Array(repeating: Member(), count: size)
    meetings = Lane.allCases.map { _ in Meeting(of: self) }
  }

  /// Where the threads of a lane meet.
  subscript(lane: Lane) -> Meeting { meetings[lane.rawValue] }

  /// The rank `index` asks for operations through these lanes.
  func join(index: Int, _ lanes: CommunicationLanes) { mutex.withLock { members[index].lanes = lanes } }

  /// The rank `index` will join no more operations.
  func leave(index: Int) {
    mutex.withLock { members[index].hasEnded = true }
    for meeting in meetings { meeting.leave(index: index) }
    failIfNobodyGoesOn()
  }

  /// A rank has failed: no lane waits for it.
  func fail(_ error: CommunicationError) { for meeting in meetings { meeting.fail(error) } }

  /// The rank `index` sleeps until an operation of a lane is done; nil: it goes on.
  func waits(index: Int, for awaited: (lane: Lane, ticket: UInt64)?) {
    mutex.withLock { members[index].awaited = awaited }
    if awaited != nil { failIfNobodyGoesOn() }
  }

  /// Ranks that meet in different operations of one lane find that out there. Here it is found that they are in different lanes, each
  /// waiting for the others, and nothing is under way that could end it. Called whenever the last reason to hope may have gone.
  func failIfNobodyGoesOn() {
    let waiting: [(rank: Int, what: Collective)]? = mutex.withLock {
      var waiting: [(rank: Int, what: Collective)] = []
      for (index, member) in members.enumerated() {
        if member.hasEnded { continue }
        guard let lanes = member.lanes, let (awaited, ticket) = member.awaited,
          !lanes[awaited].hasDone(ticket),
          let what = self[awaited].unmet(index)
        else { return nil }
        for lane in Lane.allCases where !lanes[lane].isIdle && self[lane].unmet(index) == nil { return nil }
        waiting.append((firstRank + index, what))
      }
      return waiting
    }
    guard let waiting, let first = waiting.first,
      let other = waiting.first(where: { $0.what.lane != first.what.lane })
    else { return }
    fail(
      .mismatchedCollectives(
        detail: "rank \(first.rank) calls \(first.what), rank \(other.rank) calls \(other.what)"))
  }
}

/// What a group knows of one of its ranks.
private struct Member {
  /// Nil before it has begun.
  weak var lanes: CommunicationLanes?
  var hasEnded = false
  /// What it sleeps for.
  var awaited: (lane: Lane, ticket: UInt64)?
}
