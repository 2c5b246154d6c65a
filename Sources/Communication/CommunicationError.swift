/// What can go wrong between ranks. Exit code 75 (a peer is lost) or 78 (MPI is unfit), see `exitCode`.
public enum CommunicationError: Error, Sendable, CustomStringConvertible {
  /// A collective failed: which one, and MPI's own words.
  case collectiveFailed(operation: String, reason: String)
  /// MPI could not be started.
  case unavailable(reason: String)

  /// sysexits: 75 EX_TEMPFAIL, 78 EX_CONFIG.
  public var exitCode: Int32 {
    switch self {
    case .collectiveFailed: 75
    case .unavailable: 78
    }
  }

  /// What failed – where – what to do.
  public var description: String {
    switch self {
    case .collectiveFailed(let operation, let reason):
      "a collective operation failed – \(operation): \(reason) – a peer is lost; start again with --resume"
    case .unavailable(let reason):
      "MPI cannot be used – \(reason) – see `icnn doctor`, or run one process without mpirun"
    }
  }
}
