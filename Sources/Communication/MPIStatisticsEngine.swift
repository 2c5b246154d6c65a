#if WITH_MPI
  import CMPI

  /// MPI as the lane of statistics sees it: all-reduces over a communicator of its own, so that they cannot be taken for those of
  /// the other lane. Made by the other lane's engine; from then on every function runs on this lane's thread.
  final class MPIStatisticsEngine: CollectiveEngine, @unchecked Sendable {
    private var communicator: MPI_Comm?
    private let reductions: MPIReductions

    /// Takes over `communicator`.
    init(_ communicator: MPI_Comm?, _ heartbeat: Heartbeat) throws(CommunicationError) {
      self.communicator = communicator
      reductions = try MPIReductions(communicator, LaneHeartbeat(heartbeat: heartbeat, lane: .statistics))
    }

    func perform(_ collective: Collective) throws(CommunicationError) {
      guard collective.kind == .stop else { return try reductions.perform(collective) }
      try reductions.close(collective)
      try MPIFailure.check(MPI_Comm_free(&communicator), collective, rank: reductions.rank)
    }
  }
#endif
