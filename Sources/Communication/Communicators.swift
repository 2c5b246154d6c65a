import Glibc

/// Chooses who the other ranks are.
public enum Communicators {
  /// Whether this program was built with MPI, or (`ICNN_WITHOUT_MPI`) for a single process only.
  public static var supportsMPI: Bool {
    #if WITH_MPI
      true
    #else
      false
    #endif
  }

  /// MPI where a launcher started this process, a single process otherwise. Once in the life of a process, before
  /// other threads are started: it may set environment variables that MPI reads.
  ///
  /// Throws `unavailable` (exit code 78) when ranks were launched that cannot find each other.
  public static func start(
    launch: LaunchEnvironment = .current
  ) throws(CommunicationError) -> any Communicator {
    try start(launch: launch, nodeLimit: .max)
  }

  /// The same, taking every `nodeLimit` ranks of a host for a node of their own: one host then tests what several do.
  package static func start(
    launch: LaunchEnvironment, nodeLimit: Int
  ) throws(CommunicationError) -> any Communicator {
    switch launch.launcher {
    case .none:
      return SingleProcess()
    case .srunWithoutPMIx:
      throw .unavailable(
        reason: "srun started \(launch.size ?? 0) tasks without PMIx; start them with `srun --mpi=pmix`")
    case .mpirun, .srun, .pmix, .pmi:
      #if WITH_MPI
        // What the user or the launcher has set stands.
        for (name, value) in MPIParameters.defaults { setenv("OMPI_MCA_" + name, value, 0) }
        return try MPICommunicator(
          launch: launch,
          spins: ProcessorAffinity.hasSpareCore(localSize: launch.localSize ?? launch.size ?? .max),
          nodeLimit: nodeLimit)
      #else
        if launch.size == 1 { return SingleProcess() }
        throw .unavailable(
          reason: "\(launch.launcher) started several ranks, but this icnn was built without MPI "
            + "(ICNN_WITHOUT_MPI); build it with libopenmpi-dev installed")
      #endif
    }
  }
}
