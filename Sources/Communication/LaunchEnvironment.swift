import Glibc

/// What the launcher's environment variables say about this process, before MPI is started: enough to choose the
/// number of threads, to be silent on all ranks but the first, and to execute the program anew.
///
/// Once a communicator exists, its own numbers count.
public struct LaunchEnvironment: Sendable, Equatable {
  /// Who started this process.
  public enum Launcher: Sendable, Equatable, CustomStringConvertible {
    /// Nobody that knows of ranks.
    case none
    /// Open MPI's `mpirun`.
    case mpirun
    /// Slurm's `srun --mpi=pmix`.
    case srun
    /// `srun` with several tasks and without PMIx, under which Open MPI cannot start.
    case srunWithoutPMIx
    /// Another launcher that speaks PMIx.
    case pmix
    /// A launcher that speaks PMI, such as MPICH's.
    case pmi

    /// The command, as a user knows it.
    public var description: String {
      switch self {
      case .none: "no launcher"
      case .mpirun: "mpirun"
      case .srun, .srunWithoutPMIx: "srun"
      case .pmix: "a PMIx launcher"
      case .pmi: "a PMI launcher"
      }
    }
  }

  /// Who started this process.
  public let launcher: Launcher
  /// This process's number; nil where the launcher does not say.
  public let rank: Int?
  /// Number of processes started together; nil where the launcher does not say.
  public let size: Int?
  /// This process's number on its host; nil where the launcher does not say.
  public let localRank: Int?
  /// Number of processes on its host; nil where the launcher does not say.
  public let localSize: Int?

  /// Of this process.
  public static var current: LaunchEnvironment {
    LaunchEnvironment { name in getenv(name).map { String(cString: $0) } }
  }

  /// Reads the variables through `variable`, which returns nil for what is not set.
  public init(_ variable: (String) -> String?) {
    func number(_ name: String) -> Int? { variable(name).flatMap { Int($0) } }

    if let size = number("OMPI_COMM_WORLD_SIZE") {
      launcher = .mpirun
      self.size = size
      rank = number("OMPI_COMM_WORLD_RANK")
      localRank = number("OMPI_COMM_WORLD_LOCAL_RANK")
      localSize = number("OMPI_COMM_WORLD_LOCAL_SIZE")
    } else if let stepSize = number("SLURM_STEP_NUM_TASKS"), number("PMIX_RANK") != nil || stepSize > 1 {
      // SLURM_PROCID and SLURM_NTASKS alone are also set in a batch script, outside of any srun.
      let speaksPMI = number("PMI_RANK") != nil
      launcher = number("PMIX_RANK") != nil ? .srun : speaksPMI ? .pmi : .srunWithoutPMIx
      size = stepSize
      rank = number("PMIX_RANK") ?? number("SLURM_PROCID")
      localRank = number("SLURM_LOCALID")
      localSize = Self.tasks(
        onNode: number("SLURM_NODEID") ?? 0,
        of: variable("SLURM_STEP_TASKS_PER_NODE") ?? variable("SLURM_TASKS_PER_NODE") ?? "")
    } else if let rank = number("PMIX_RANK") {
      launcher = .pmix
      self.rank = rank
      size = nil
      localRank = nil
      localSize = nil
    } else if let rank = number("PMI_RANK") {
      launcher = .pmi
      self.rank = rank
      size = number("PMI_SIZE")
      localRank = number("MPI_LOCALRANKID")
      localSize = number("MPI_LOCALNRANKS")
    } else {
      launcher = .none
      rank = 0
      size = 1
      localRank = 0
      localSize = 1
    }
  }

  /// The entry for a node in Slurm's run-length list: "4(x2),1" means 4, 4, 1.
  private static func tasks(onNode node: Int, of list: String) -> Int? {
    var first = 0
    for entry in list.split(separator: ",") {
      let parts = entry.split(whereSeparator: { "(x)".contains($0) }).map { Int($0) }
      guard let tasks = parts.first ?? nil, let repeats = parts.count > 1 ? parts[1] : 1 else { return nil }
      if node < first + repeats { return tasks }
      first += repeats
    }
    return nil
  }
}
