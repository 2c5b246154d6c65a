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
    meetings = Lane.allCases.map { _ in Meeting(of: self) }
  }

  /// Where the threads of a lane meet.
  subscript(lane: Lane) -> Meeting { meetings[lane.rawValue] }

  /// The rank `index` will join no more operations.
  func leave(index: Int) { for meeting in meetings { meeting.leave(index: index) } }

  /// A rank has failed: no lane waits for it.
  func fail(_ error: CommunicationError) { for meeting in meetings { meeting.fail(error) } }
}
