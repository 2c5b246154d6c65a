/// What can go wrong between ranks. `exitCode` tells a scheduler what to do about it.
public enum CommunicationError: Error, Sendable, Equatable, CustomStringConvertible {
  /// A collective failed: which one, and MPI's own words.
  case collectiveFailed(operation: String, reason: String)
  /// Another rank failed with an error of its own.
  case peerFailed(rank: Int, reason: String)
  /// Ranks called different operations, or were found at different places of the training.
  case mismatchedCollectives(detail: String)
  /// Ranks were started with different settings, data or parameters; each line names a field, ranks and values.
  case disagreement(details: [String])
  /// MPI could not be started.
  case unavailable(reason: String)
  /// Gradients were to be added up in memory that ranks share, and cannot be.
  case windowUnavailable(reason: String)
  /// Shards that cannot be divided evenly among the ranks; `possible` lists the numbers of ranks.
  case indivisibleShards(shards: Int, ranks: Int, possible: String)

  /// Of a process whose watchdog found a stall, as of any lost peer.
  static let stallExitCode: Int32 = 75

  /// sysexits: 75 EX_TEMPFAIL (a peer is lost), 70 EX_SOFTWARE (a fault of the program), 78 EX_CONFIG.
  public var exitCode: Int32 {
    switch self {
    case .collectiveFailed, .peerFailed: 75
    case .mismatchedCollectives: 70
    case .disagreement, .unavailable, .windowUnavailable, .indivisibleShards: 78
    }
  }

  /// What failed – where – what to do.
  public var description: String {
    switch self {
    case .collectiveFailed(let operation, let reason):
      "a collective operation failed – \(operation): \(reason) – a peer is lost; start again with --resume"
    case .peerFailed(let rank, let reason):
      "another rank failed – rank \(rank): \(reason) – mend its cause and start again with --resume"
    case .mismatchedCollectives(let detail):
      "ranks are out of step – \(detail) – a fault of the program; start again with --resume and report it"
    case .disagreement(let details):
      "ranks disagree – \(details.joined(separator: "; ")) – start all ranks with the same program, "
        + "options and data"
    case .unavailable(let reason):
      "MPI cannot be used – \(reason) – see `icnn doctor`, or run one process without mpirun"
    case .windowUnavailable(let reason):
      "gradients cannot be added up in a shared window – \(reason) – leave out --reduction window"
    case .indivisibleShards(let shards, let ranks, let possible):
      "\(shards) shards cannot be divided among \(ranks) ranks – start \(possible) ranks, or other --shards"
    }
  }
}
