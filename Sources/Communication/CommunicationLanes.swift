/// The threads that carry out a rank's collectives, one a lane.
///
/// Every collective has its lane by its kind (`Collective.lane`), so that all ranks put the same ones into the same lane. An error of
/// either lane is an error of both (`LaneFault`).
final class CommunicationLanes: Sendable {
  private let gradients: CommunicationThread
  private let statistics: CommunicationThread

  /// Two lanes. `statistics` nil: where operations of two threads cannot be told apart, one thread carries out everything.
  init(gradients: CommunicationThread, statistics: CommunicationThread?) {
    self.gradients = gradients
    self.statistics = statistics ?? gradients
  }

  /// The thread of a lane.
  subscript(lane: Lane) -> CommunicationThread { lane == .statistics ? statistics : gradients }

  /// What this rank is doing.
  var heartbeat: Heartbeat { gradients.heartbeat }

  /// Asks for an operation, in its lane.
  func start(_ collective: Collective) -> PendingReduction {
    let thread = self[collective.lane]
    return PendingReduction(thread: thread, ticket: thread.submit(collective))
  }

  /// Asks for it and waits.
  func perform(_ collective: Collective) throws(CommunicationError) {
    try self[collective.lane].perform(collective)
  }

  /// Ends the lanes, that of gradients last: it is what started the engine. The last call.
  func stop() {
    if statistics !== gradients { statistics.stop() }
    gradients.stop()
  }
}
