import Testing

@testable import Datasets

@Suite struct ShardedSamplerTests {
  @Test(arguments: 1...5, 0...12) func sharesCoverTheBatchEvenly(rankCount: Int, count: Int) {
    let shares = (0..<rankCount).map { ShardedSampler.share(of: count, rank: $0, rankCount: rankCount) }
    #expect(shares.flatMap { Array($0) } == Array(0..<count))
    for (rank, share) in shares.enumerated() {
      #expect(share.count == count / rankCount + (rank < count % rankCount ? 1 : 0))
    }
  }

  @Test(arguments: [(10, 3), (12, 4), (5, 8), (1, 1)]) func batchesCoverTheEpoch(entries: Int, batchSize: Int)
  {
    let sampler = ShardedSampler(entryCount: entries, batchSize: batchSize, seed: 1)
    let batches = (0..<sampler.batchesPerEpoch).map { sampler.positions(batch: $0) }
    #expect(batches.flatMap { Array($0) } == Array(0..<entries))
    #expect(batches.dropLast().allSatisfy { $0.count == batchSize } && batches.last!.count >= 1)
    for rankCount in 1...5 {
      for (index, batch) in batches.enumerated() {
        let positions = (0..<rankCount).flatMap {
          Array(sampler.positions(batch: index, rank: $0, rankCount: rankCount))
        }
        #expect(positions == Array(batch))
      }
    }
  }

  @Test func ordersArePermutationsOfSeedAndEpoch() {
    let sampler = ShardedSampler(entryCount: 50, batchSize: 8, seed: 1)
    let first = sampler.order(epoch: 1)
    #expect(first.sorted() == Array(0..<50) && first != Array(0..<50))
    #expect(sampler.order(epoch: 1) == first && sampler.order(epoch: 2) != first)
    #expect(ShardedSampler(entryCount: 50, batchSize: 3, seed: 1).order(epoch: 1) == first)
    #expect(ShardedSampler(entryCount: 50, batchSize: 8, seed: 2).order(epoch: 1) != first)
    #expect(ShardedSampler(entryCount: 50, batchSize: 8, seed: nil).order(epoch: 1) == Array(0..<50))
  }
}
