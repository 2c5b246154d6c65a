import Communication

/// How many ranks there are, how they lie on nodes and by which way their gradients become sums.
public struct RankLayout: Codable, Sendable, Equatable {
  /// All of them.
  public var ranks: Int
  /// On a node that is full.
  public var ranksPerNode: Int
  /// Whether the ranks of a node share a window; otherwise every rank stands for itself.
  public var hasWindow: Bool
  /// Between nodes, and without a window between ranks.
  public var precision: ExchangePrecision

  /// As `GradientExchange` takes it: windows where ranks share a node, unless they are not wanted.
  public init(ranks: Int, ranksPerNode: Int, _ path: ReductionPath, _ precision: ExchangePrecision) {
    precondition(ranks > 0 && ranksPerNode > 0)
    self.ranks = ranks
    self.ranksPerNode = min(ranks, ranksPerNode)
    hasWindow = path != .plain && min(ranks, ranksPerNode) > 1
    self.precision = precision
  }

  /// Hosts.
  public var nodes: Int { (ranks + ranksPerNode - 1) / ranksPerNode }

  /// Parties to the exchange of gradients over the network.
  private var parties: Int { hasWindow ? nodes : ranks }

  /// Seconds the lane of gradients is busy with a bucket of `count` floats.
  func bucketSeconds(count: Int, _ network: NetworkCost, memoryBytesPerSecond: Double) -> Double {
    guard parties > 1 else { return 0 }
    let bytes = 4 * count
    let count = Double(count)
    var seconds = 0.0
    // A rank reads its slice of all copies and writes the sum.
    if hasWindow {
      seconds += 4 * count * Double(ranksPerNode + 1) / Double(ranksPerNode) / memoryBytesPerSecond
    }
    switch precision {
    case .float32: seconds += network.seconds(.allReduce(bytes: bytes, ranks: parties), bytes: bytes)
    case .bfloat16:
      seconds += network.seconds(.bfloat16Sum(count: bytes / 4, ranks: parties), bytes: bytes / 2)
      // Rounded (4 read, 2 written), its slices added (2 read, 2 / parties written), expanded (2 read, 4 written).
      seconds += count * (14 + 2 / Double(parties)) / memoryBytesPerSecond
    }
    return seconds
  }

  /// Seconds the lane of statistics is busy with a reduction. Messages inside a node cost nothing beside those between nodes.
  func statisticsSeconds(bytes: Int, _ network: NetworkCost) -> Double {
    network.seconds(.allReduce(bytes: bytes, ranks: nodes), bytes: bytes)
  }

  /// Seconds that a reduction of statistics waits for the pieces of a bucket that are under way already: at every message what the system
  /// holds of a connection (`MPIParameters`) and as much again that the other lane has handed over.
  func overtakingSeconds(_ link: LinkModel) -> Double {
    let messages = LinkModel.Load.allReduce(bytes: 0, ranks: nodes).messages
    return messages * 2 * Double(MPIParameters.connectionBytes) * link.secondsPerByte
  }

  /// Time of an update on this layout per time of a rank's update of everything. In a window the ranks of a node divide it; on a single node
  /// each reads the gradients of all as it does (docs/adr/0012-shared-update.md): of 5 units of traffic the gradient is one.
  var updateFactor: Double {
    guard hasWindow else { return 1 }
    let n = Double(ranksPerNode)
    return nodes > 1 ? 1 / n : (n + 4) / (5 * n)
  }
}
