import Foundation
import Testing

@testable import Communication

/// Numbers whose sums depend on the order of additions.
private func number(_ shard: Int, _ index: Int) -> Float {
  Float((shard * 131 + index * 37) % 101 - 50)
    * Float(sign: .plus, exponent: (index + shard * 5) % 24, significand: 1.001)
}

/// The sum of the first half and that of the second.
private func tree(_ values: ArraySlice<Float>) -> Float {
  guard values.count > 1 else { return values.first! }
  let half = values.count / 2
  return tree(values.prefix(half)) + tree(values.dropFirst(half))
}

/// What each process's first shard returned.
private func onProcesses<Result: Sendable>(
  _ processes: Int, shards: Int, concurrency: Int = 2,
  _ body: @escaping @Sendable (any Communicator) throws -> Result
) throws -> [Result] {
  guard processes > 1 else {
    return [try ShardGroup.run(count: shards, on: SingleProcess(), concurrency: concurrency, body)]
  }
  return try InProcessGroup.run(size: processes) { outer in
    try ShardGroup.run(count: shards, on: outer, concurrency: concurrency, body)
  }
}

/// Three updates by the sum of `number`, then one that fails on a shard; the parameters.
private func train(_ shard: any Communicator, count: Int, processes: Int) throws -> [Float] {
  let exchange = shard.gradientExchange(.automatic, .float32)
  let storage = try #require(exchange.storage)
  let memory = storage(count, 0)
  #expect(exchange.route == .shards(4, processes: processes))
  let share = try #require(exchange.share)
  for step in 0..<3 {
    for index in 0..<count { memory.gradients[index] = number(shard.rank, index + step) }
    for range in [600..<count, 0..<600] {
      exchange.start(
        UnsafeMutableBufferPointer(start: memory.gradients + range.lowerBound, count: range.count))
    }
    try exchange.finish()
    for index in share.range {
      for gradients in share.gradients { memory.values[index] += gradients[index] }
    }
    let succeeded = try exchange.finishUpdate(succeeded: true)
    #expect(succeeded)
  }
  // One shard's failure is that of all shards of its process.
  let succeeded = try exchange.finishUpdate(succeeded: shard.localRank > 0)
  #expect(!succeeded)
  return Array(UnsafeBufferPointer(start: memory.values, count: count))
}

@Suite(.timeLimit(.minutes(2))) struct ShardGroupTests {
  @Test(arguments: [1, 2, 4, 8])
  func everyShardIsARank(processes: Int) throws {
    let seen = Mutexed([Int]())
    let gathered = try onProcesses(processes, shards: 8) { shard -> [[UInt8]] in
      seen.withLock { $0.append(shard.rank) }
      #expect(shard.size == 8 && shard.processCount == processes)
      #expect(shard.localSize == 8 / processes && shard.localRank == shard.rank % shard.localSize)
      return try shard.allGather([UInt8](repeating: UInt8(shard.rank), count: shard.rank * 2))
    }
    #expect(seen.withLock { $0.sorted() } == Array(0..<8))
    for lists in gathered {
      #expect(lists == (0..<8).map { [UInt8](repeating: UInt8($0), count: $0 * 2) })
    }
  }

  @Test(arguments: [1, 2, 4, 8], [1, 2, 8])
  func sumsAreThoseOfOneTreeOnAnyNumberOfProcesses(processes: Int, concurrency: Int) throws {
    let count = 1037
    let sums = try onProcesses(processes, shards: 8, concurrency: concurrency) { shard -> [Float] in
      var values = (0..<count).map { number(shard.rank, $0) }
      try values.withUnsafeMutableBufferPointer { try shard.startAllReduce($0, .sum).wait() }
      return values
    }
    let expected = (0..<count).map { index in tree((0..<8).map { number($0, index) }[...]) }
    for sum in sums { #expect(sum.map(\.bitPattern) == expected.map(\.bitPattern)) }
    let inOrder = (0..<count).map { index in (0..<8).reduce(Float(0)) { $0 + number($1, index) } }
    #expect(inOrder != expected)
  }

  @Test(arguments: [1, 2, 4], 0..<8)
  func bytesOfEveryShardReachAll(processes: Int, root: Int) throws {
    let received = try onProcesses(processes, shards: 8) { shard -> [[UInt8]] in
      var bytes = (0..<50).map { UInt8($0 * (shard.rank + 1) % 251) }
      try bytes.withUnsafeMutableBytes { try shard.broadcast($0, root: root) }
      return try shard.allGather(bytes)
    }
    let expected = (0..<50).map { UInt8($0 * (root + 1) % 251) }
    for lists in received { #expect(lists == [[UInt8]](repeating: expected, count: 8)) }
  }

  @Test(arguments: [1, 2, 4])
  func shardsOfAProcessShareTheirParametersAndDivideTheUpdate(processes: Int) throws {
    let count = 1000
    let results = try onProcesses(processes, shards: 4) { shard in
      try train(shard, count: count, processes: processes)
    }
    let expected = (0..<count).map { index in
      (0..<3).reduce(Float(0)) { sum, step in sum + tree((0..<4).map { number($0, index + step) }[...]) }
    }
    for values in results { #expect(values == expected) }
  }

  @Test func noMoreShardsComputeThanMay() throws {
    let inside = Mutexed((now: 0, most: 0))
    _ = try onProcesses(1, shards: 8, concurrency: 3) { shard -> Int in
      for _ in 0..<10 {
        inside.withLock {
          $0.now += 1
          $0.most = max($0.most, $0.now)
        }
        usleep(1000)
        inside.withLock { $0.now -= 1 }
        try shard.barrier()
      }
      return 0
    }
    #expect(inside.withLock { $0.most } == 3)
  }

  @Test func oneThatAsksForMoreThanTheQueueHoldsLetsTheOthersCompute() throws {
    let sums = try onProcesses(1, shards: 4, concurrency: 1) { shard -> Double in
      let values = UnsafeMutableBufferPointer<Double>.allocate(capacity: 1000)
      defer { values.deallocate() }
      values.initialize(repeating: Double(shard.rank))
      func start(from index: Int) throws {
        let pending = shard.startAllReduce(
          UnsafeMutableBufferPointer(rebasing: values[index...index]), .sum)
        if index + 1 < values.count { try start(from: index + 1) }
        try pending.wait()
      }
      try start(from: 0)
      return values.reduce(0, +)
    }
    #expect(sums == [6000])
  }

  @Test(arguments: [1, 2])
  func oneShardsErrorIsThatOfTheProcess(processes: Int) throws {
    struct Failure: Error, Equatable {}
    #expect(throws: Failure.self) {
      try onProcesses(processes, shards: 4) { shard in
        if shard.rank == 3 { throw Failure() }
        try shard.barrier()
        try shard.barrier()
      }
    }
  }

  @Test(arguments: [(3, 8), (16, 8), (6, 4)])
  func shardsThatCannotBeDividedAreRefused(processes: Int, shards: Int) throws {
    let errors = try InProcessGroup.run(size: processes) { outer -> CommunicationError? in
      do {
        _ = try ShardGroup.run(count: shards, on: outer, concurrency: 1) { _ in 0 }
        return nil
      } catch { return error as? CommunicationError }
    }
    let possible = shards == 8 ? "1, 2, 4, 8" : "1, 2, 4"
    let expected = CommunicationError.indivisibleShards(
      shards: shards, ranks: processes, possible: possible)
    #expect(errors == [CommunicationError?](repeating: expected, count: processes))
    #expect(expected.exitCode == 78)
    #expect(expected.description.contains("start \(possible) ranks"))
  }
}
