import Communication

/// What messages between ranks cost: the usual line of a latency and a time per byte.
public struct LinkModel: Codable, Sendable, Equatable {
  /// Seconds of a message without bytes.
  public var latency: Double
  /// Seconds a byte of a message takes.
  public var secondsPerByte: Double

  /// A link of that latency in seconds and so many bits per second.
  public init(latency: Double, bitsPerSecond: Double) {
    self.latency = latency
    secondsPerByte = 8 / bitsPerSecond
  }

  /// Messages one after the other and bytes one after the other that an operation comes to.
  public struct Load: Sendable, Equatable {
    /// Messages in a row.
    public var messages: Double
    /// Bytes that go out of one rank.
    public var bytes: Double

    static func + (a: Load, b: Load) -> Load {
      Load(messages: a.messages + b.messages, bytes: a.bytes + b.bytes)
    }
  }

  /// Seconds of a load.
  public func seconds(_ load: Load) -> Double {
    load.messages * latency + load.bytes * secondsPerByte
  }
}

extension LinkModel.Load {
  /// Bytes of one MPI_Allreduce (MPIEngine).
  private static let chunkBytes = 4 << 20
  /// Numbers of one round of a sum in bfloat16 (BFloat16AllReduce).
  private static let bfloat16Chunk = 1 << 20

  /// An all-reduce of `bytes` over `ranks`, in the pieces that `MPIEngine` makes, by the algorithms that Open MPI 4.1's "tuned" component
  /// chooses: recursive doubling for short pieces, a reduce-scatter by recursive halving and an all-gather by recursive doubling
  /// (Rabenseifner) for long ones. Thakur, Rabenseifner, Gropp, "Optimization of Collective Communication Operations in
  /// MPICH", 2005. Ranks beyond a power of two hand their values over first and are given the result at the end.
  static func allReduce(bytes: Int, ranks: Int) -> Self {
    guard ranks > 1 else { return Self(messages: 0, bytes: 0) }
    let whole = bytes / chunkBytes
    let piece = allReducePiece(bytes: chunkBytes, ranks: ranks)
    let rest = bytes % chunkBytes
    let sum = Self(messages: Double(whole) * piece.messages, bytes: Double(whole) * piece.bytes)
    return rest > 0 || whole == 0 ? sum + allReducePiece(bytes: rest, ranks: ranks) : sum
  }

  private static func allReducePiece(bytes: Int, ranks: Int) -> Self {
    let rounds = Double(Int.bitWidth - 1 - ranks.leadingZeroBitCount)
    let core = Double(1 << Int(rounds))
    let isWhole = ranks.nonzeroBitCount == 1
    let bytes = Double(bytes)
    if bytes < shortLimit(ranks: ranks) {
      return Self(messages: rounds, bytes: rounds * bytes)
        + Self(messages: isWhole ? 0 : 2, bytes: isWhole ? 0 : 2 * bytes)
    }
    return Self(messages: 2 * rounds, bytes: 2 * bytes * (1 - 1 / core))
      + Self(messages: isWhole ? 0 : 3, bytes: isWhole ? 0 : 2 * bytes)
  }

  /// Bytes from which Open MPI 4.1 takes Rabenseifner's algorithm.
  private static func shortLimit(ranks: Int) -> Double {
    switch ranks {
    case ..<16: 8192
    case ..<256: 262_144
    default: 16384
    }
  }

  /// A sum of `count` floats over `ranks` as `BFloat16AllReduce` carries it out: everybody's slices to everybody, pair by pair, and the
  /// sums back in a ring.
  static func bfloat16Sum(count: Int, ranks: Int) -> Self {
    guard ranks > 1 else { return Self(messages: 0, bytes: 0) }
    let rounds = Double((count + bfloat16Chunk - 1) / bfloat16Chunk)
    let others = Double(ranks - 1)
    return Self(
      messages: rounds * 2 * others, bytes: 4 * Double(count) * others / Double(ranks))
  }
}
