#if WITH_MPI
  import Glibc

  /// The ranks that `mpirun` or `srun --mpi=pmix` started.
  ///
  /// All calls of MPI, from its start to its end, are made by one thread; `abort` alone may come from any.
  public final class MPICommunicator: QueuedCommunicator {
    /// This process's number in MPI_COMM_WORLD, 0..<size.
    public let rank: Int
    /// Number of ranks in MPI_COMM_WORLD.
    public let size: Int
    /// This process's number among the ranks that share its host's memory, 0..<localSize.
    public let localRank: Int
    /// Number of ranks that share this host's memory.
    public let localSize: Int

    let thread: CommunicationThread
    let windowRefusal: String?
    private let engine: MPIEngine

    /// Starts MPI; once in the life of a process, by `Communicators.start`.
    init(launch: LaunchEnvironment, spins: Bool, nodeLimit: Int) throws(CommunicationError) {
      let heartbeat = Heartbeat()
      let engine = MPIEngine(nodeLimit: nodeLimit, heartbeat: heartbeat)
      let thread = CommunicationThread(engine: engine, spins: spins, heartbeat: heartbeat)
      try thread.perform(Collective(.start))
      self.engine = engine
      self.thread = thread
      rank = engine.rank
      size = engine.size
      localRank = engine.localRank
      localSize = engine.localSize
      windowRefusal = engine.topology.largestNodeSize == 1 ? "no two ranks share a node" : nil
      if let started = launch.size, started != size {
        // Under the launcher of another MPI every rank believes to be alone, and all would write the same files.
        thread.stop()
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
    public func finalize() { thread.stop() }

    /// MPI_Abort: the launcher ends all ranks and passes `code` on.
    public func abort(code: Int32) -> Never {
      fflush(nil)
      engine.abort(code: code)
    }
  }
#endif
