import Tensors

/// Which samples a rank sees, and when.
///
/// An epoch is one global order of all entries: a permutation that depends on (seed, epoch) alone, or the order of
/// the list. Global batch b is a contiguous range of it, and every rank takes a contiguous share of that range.
/// So the order does not depend on the number of ranks, and any position can be entered directly.
public struct ShardedSampler: Sendable {
  /// Number of entries in an epoch.
  public let entryCount: Int
  /// B, the size of the global batch; the last of an epoch may be smaller.
  public let batchSize: Int
  /// Seed of the permutations; nil keeps the list's order.
  public let seed: UInt64?

  /// An epoch of `entryCount` entries (at least 1) in batches of `batchSize` (at least 1).
  public init(entryCount: Int, batchSize: Int, seed: UInt64?) {
    precondition(
      entryCount > 0 && batchSize > 0, "ShardedSampler: \(entryCount) entries in batches of \(batchSize)")
    self.entryCount = entryCount
    self.batchSize = batchSize
    self.seed = seed
  }

  /// Number of global batches in an epoch, the short one included.
  public var batchesPerEpoch: Int { (entryCount + batchSize - 1) / batchSize }

  /// The entries of an epoch (from 1) in their global order.
  public func order(epoch: Int) -> [Int] {
    guard let seed else { return Array(0..<entryCount) }
    var random = RandomSource(seed: seed, purpose: .permutation, UInt64(epoch))
    return random.permutation(entryCount)
  }

  /// Positions in the epoch's order of the global batch `index` (from 0).
  public func positions(batch index: Int) -> Range<Int> {
    precondition(
      (0..<batchesPerEpoch).contains(index), "ShardedSampler: batch \(index) of \(batchesPerEpoch)")
    return index * batchSize..<min((index + 1) * batchSize, entryCount)
  }

  /// The part of a global batch of `count` images that belongs to a rank, as offsets into the batch: count/R images,
  /// one more for the first count mod R ranks, none when there are fewer images than ranks before it.
  public static func share(of count: Int, rank: Int, rankCount: Int) -> Range<Int> {
    precondition(rank >= 0 && rank < rankCount, "ShardedSampler: rank \(rank) of \(rankCount)")
    let start = rank * (count / rankCount) + min(rank, count % rankCount)
    return start..<(start + count / rankCount + (rank < count % rankCount ? 1 : 0))
  }

  /// Positions in the epoch's order of a rank's share of the global batch `index` (from 0).
  public func positions(batch index: Int, rank: Int, rankCount: Int) -> Range<Int> {
    let batch = positions(batch: index)
    let share = Self.share(of: batch.count, rank: rank, rankCount: rankCount)
    return (batch.lowerBound + share.lowerBound)..<(batch.lowerBound + share.upperBound)
  }
}
