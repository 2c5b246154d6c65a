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
  /// By number of the thread.
  private let members: [Member]
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
    members = (0..<size).map { _ in Member() }
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
    members = (0..<size).map { _ in Member() }
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
    let waiting: (first: Waiting, other: Waiting)? = mutex.withLock {
      var (first, other): (Waiting?, Waiting?) = (nil, nil)
      for index in members.indices where !members[index].hasEnded {
        guard let what = unmet(index) else { return nil }
        let waiting = Waiting(rank: firstRank + index, what: what)
        if first == nil { first = waiting }
        if other == nil && what.lane != first!.what.lane { other = waiting }
      }
      guard let first, let other else { return nil }
      return (first, other)
    }
    guard let (first, other) = waiting else { return }
    fail(
      .mismatchedCollectives(
        detail: "rank \(first.rank) calls \(first.what), rank \(other.rank) calls \(other.what)"))
  }

  /// What the rank waits for others to want, if it sleeps for that and its lanes have nothing else to do; else nil.
  private func unmet(_ index: Int) -> Collective? {
    guard let lanes = members[index].lanes, let (lane, ticket) = members[index].awaited,
      !lanes[lane].hasDone(ticket), let what = self[lane].unmet(index)
    else { return nil }
    let other: Lane = lane == .gradients ? .statistics : .gradients
    return lanes[other].isIdle || self[other].unmet(index) != nil ? what : nil
  }
}

private struct Waiting {
  let rank: Int
  let what: Collective
}

/// What a group knows of one of its ranks. Safe to share: guarded by the mutex of the group.
private final class Member: @unchecked Sendable {
  /// Nil before it has begun.
  weak var lanes: CommunicationLanes?
  var hasEnded = false
  /// What it sleeps for.
  var awaited: (lane: Lane, ticket: UInt64)?
}
