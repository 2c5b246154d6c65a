/// What a lane's thread tells of itself through its rank's heartbeat.
struct LaneHeartbeat: Sendable {
  /// The rank's.
  let heartbeat: Heartbeat
  /// Which lane speaks.
  let lane: Lane

  /// This rank has come to the collective with this ticket, and may wait in it for others.
  func arrive(_ ticket: UInt64, _ collective: Collective) {
    let now = monotonicNanoseconds()
    heartbeat.store(.operation, lane, collective.code)
    heartbeat.store(.count, lane, UInt64(collective.count))
    heartbeat.store(.progress, lane, now)
    heartbeat.store(.isWaiting, lane, 1)
    heartbeat.store(.arrived, lane, ticket)
    heartbeat.timeline?.arrive(lane, collective, ticket, at: now)
  }

  /// A piece of the collective is done: what takes long is not stuck.
  func progress() { heartbeat.store(.progress, lane, monotonicNanoseconds()) }

  /// The collective is done on this rank.
  func leave() {
    let now = monotonicNanoseconds()
    heartbeat.store(.progress, lane, now)
    heartbeat.store(.isWaiting, lane, 0)
    heartbeat.timeline?.leave(lane, at: now)
  }

  /// Carries out a part of the collective that a timeline shows.
  func part<Result, Failure: Error>(
    _ part: CollectivePart, _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    guard let timeline = heartbeat.timeline else { return try body() }
    let begin = monotonicNanoseconds()
    defer { timeline.part(lane, part, begin: begin) }
    return try body()
  }
}
