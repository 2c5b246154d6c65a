#if WITH_MPI
  import Glibc

  /// The ranks that `mpirun` or `srun --mpi=pmix` started.
  ///
  /// The thread of the lane of gradients starts and ends MPI; that of statistics, where MPI allows several threads, speaks through a
  /// communicator of its own. `abort` may come from any thread.
  public final class MPICommunicator: QueuedCommunicator {
    /// This process's number in MPI_COMM_WORLD, 0..<size.
    public let rank: Int
    /// Number of ranks in MPI_COMM_WORLD.
    public let size: Int
    /// This process's number among the ranks that share its host's memory, 0..<localSize.
    public let localRank: Int
    /// Number of ranks that share this host's memory.
    public let localSize: Int

    let lanes: CommunicationLanes
    let windowRefusal: String?
    private let engine: MPIEngine

    /// Starts MPI; once in the life of a process, by `Communicators.start`.
    init(launch: LaunchEnvironment, spins: Bool, nodeLimit: Int) throws(CommunicationError) {
      let heartbeat = Heartbeat()
      let engine = MPIEngine(nodeLimit: nodeLimit, heartbeat: heartbeat)
      let fault = LaneFault(heartbeat) { error, status in
        Self.complain(error, status)
        engine.abort(code: error.exitCode)
      }
      func thread(_ lane: Lane, _ engine: any CollectiveEngine) -> CommunicationThread {
        CommunicationThread(lane, engine: engine, spins: spins, heartbeat: heartbeat, fault: fault)
      }
      let gradients = thread(.gradients, engine)
      try gradients.perform(Collective(.start))
      self.engine = engine
      lanes = CommunicationLanes(
        gradients: gradients, statistics: engine.statistics.map { thread(.statistics, $0) })
      rank = engine.rank
      size = engine.size
      localRank = engine.localRank
      localSize = engine.localSize
      windowRefusal = engine.topology.largestNodeSize == 1 ? "no two ranks share a node" : nil
      if let started = launch.size, started != size {
        // Under the launcher of another MPI every rank believes to be alone, and all would write the same files.
        lanes.stop()
        throw .unavailable(
          reason: "\(launch.launcher) started \(started) processes, MPI sees \(size): the launcher does not "
            + "belong to the MPI that icnn was built with")
      }
    }

    /// Starts this rank's watchdog.
    public func watch(stallTimeoutSeconds: Double) {
      guard stallTimeoutSeconds > 0, size > 1 else { return }
      Watchdog(StallRule(timeout: stallTimeoutSeconds, hosts: engine.hosts), heartbeat, engine.board).start()
    }

    /// MPI_Finalize. After an error it is left out, as it would wait for the lost peer: the process then ends
    /// with a code other than 0, whereupon the launcher ends the others.
    public func finalize() { lanes.stop() }

    /// Nothing but `write`: other threads may be in the middle of anything.
    private static func complain(_ error: CommunicationError, _ status: RankStatus) {
      let stuck = Lane.allCases.filter { status[$0].isWaiting }.map { "\(status[$0].collective)" }
      let line = "error: \(error) – rank \(status.rank) cannot leave \(stuck.joined(separator: ", "))\n"
      let bytes = Array(line.utf8)
      _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// MPI_Abort: the launcher ends all ranks and passes `code` on.
    public func abort(code: Int32) -> Never {
      fflush(nil)
      engine.abort(code: code)
    }
  }
#endif
