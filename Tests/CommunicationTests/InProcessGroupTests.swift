import Communication
import Foundation
import Testing

private let operations: [ReductionOperation] = [.sum, .minimum, .maximum, .logSumExp]

/// The value that `rank` contributes at `index`: signs, magnitudes and (for logSumExp's zero) −∞ mixed.
private func contribution(_ rank: Int, _ index: Int, _ operation: ReductionOperation) -> Double {
  if operation == .logSumExp, index % 5 == 0 || (index + rank) % 4 == 1 { return -.infinity }
  return Double((rank * 131 + index * 37) % 101) - 50 + Double(index) / 64
}

/// The reduction by its definition, in Double.
private func expected(_ ranks: Int, _ index: Int, _ operation: ReductionOperation) -> Double {
  let values = (0..<ranks).map { contribution($0, index, operation) }
  switch operation {
  case .sum: return values.reduce(0, +)
  case .minimum: return values.min()!
  case .maximum: return values.max()!
  case .logSumExp: return log(values.map(exp).reduce(0, +))
  }
}

private struct TestFailure: Error, Equatable {
  let rank: Int
}

@Suite struct InProcessGroupTests {
  @Test(arguments: 1...5, operations)
  func reducesDoubles(ranks: Int, operation: ReductionOperation) throws {
    let count = 23
    let results = try InProcessGroup.run(size: ranks) { communicator in
      try communicator.allReduce(
        (0..<count).map { contribution(communicator.rank, $0, operation) }, operation)
    }
    for index in 0..<count {
      let value = expected(ranks, index, operation)
      #expect(results[0][index] == value || abs(results[0][index] - value) <= 1e-12 * max(1, abs(value)))
    }
    for result in results { #expect(result.map(\.bitPattern) == results[0].map(\.bitPattern)) }
  }

  @Test(arguments: 1...5, operations)
  func reducesFloats(ranks: Int, operation: ReductionOperation) throws {
    let count = 23
    let results = try InProcessGroup.run(size: ranks) { communicator in
      var values = (0..<count).map { Float(contribution(communicator.rank, $0, operation)) }
      try values.withUnsafeMutableBufferPointer { try communicator.startAllReduce($0, operation).wait() }
      return values
    }
    for index in 0..<count {
      let value = Float(expected(ranks, index, operation))
      #expect(results[0][index] == value || abs(results[0][index] - value) <= 1e-5 * max(1, abs(value)))
    }
    for result in results { #expect(result.map(\.bitPattern) == results[0].map(\.bitPattern)) }
  }

  // 2^24 swallows a single one in Float, but not the sum of two.
  @Test(
    arguments: [
      ([1, 1, 16_777_216], 16_777_218), ([16_777_216, 1, 1], 16_777_216), ([1, 16_777_216, 1], 16_777_216),
    ] as [([Float], Float)])
  func addsInTheOrderOfRanks(contributions: [Float], sum: Float) throws {
    let results = try InProcessGroup.run(size: 3) { communicator in
      var value = [contributions[communicator.rank]]
      try value.withUnsafeMutableBufferPointer { try communicator.startAllReduce($0, .sum).wait() }
      return value[0]
    }
    #expect(results == [sum, sum, sum])
  }

  @Test(arguments: [ReductionOperation.minimum, .maximum, .sum, .logSumExp], 0..<3)
  func aNaNReachesEveryRank(operation: ReductionOperation, culprit: Int) throws {
    let results = try InProcessGroup.run(size: 3) { communicator in
      try communicator.allReduce([communicator.rank == culprit ? .nan : 1, 1], operation)
    }
    for result in results {
      #expect(result[0].isNaN)
      #expect(!result[1].isNaN)
    }
  }

  @Test(arguments: [ReductionOperation.minimum, .maximum], [[0.0, -0.0], [-0.0, 0.0]])
  func theSignOfZeroDoesNotDependOnTheOrder(operation: ReductionOperation, zeros: [Double]) throws {
    let results = try InProcessGroup.run(size: 2) { communicator in
      try communicator.allReduce([zeros[communicator.rank]], operation)[0].sign
    }
    let sign: FloatingPointSign = operation == .minimum ? .minus : .plus
    #expect(results == [sign, sign])
  }

  @Test func logSumExpKeepsInfinities() throws {
    let contributions: [[Double]] = [
      [-.infinity, .infinity, .infinity, 1000, -1000], [-.infinity, .infinity, 3, 1000, 1000],
    ]
    let results = try InProcessGroup.run(size: 2) { communicator in
      try communicator.allReduce(contributions[communicator.rank], .logSumExp)
    }
    for result in results {
      #expect(result == [-.infinity, .infinity, .infinity, 1000 + log(2), 1000])
    }
  }

  @Test(arguments: 1...4)
  func broadcastsFromEveryRoot(ranks: Int) throws {
    let results = try InProcessGroup.run(size: ranks) { communicator in
      try (0..<ranks).map { root in
        var bytes = [UInt8](repeating: UInt8(communicator.rank), count: 9)
        try bytes.withUnsafeMutableBytes { try communicator.broadcast($0, root: root) }
        return bytes
      }
    }
    let all = (0..<ranks).map { [UInt8](repeating: UInt8($0), count: 9) }
    for result in results { #expect(result == all) }
  }

  @Test(arguments: 1...4)
  func gathersBytesOfAnyLength(ranks: Int) throws {
    @Sendable func bytes(_ rank: Int) -> [UInt8] { (0..<(rank * 5 % 11)).map { UInt8($0 + rank * 16) } }
    let results = try InProcessGroup.run(size: ranks) { try $0.allGather(bytes($0.rank)) }
    for result in results { #expect(result == (0..<ranks).map(bytes)) }
  }

  @Test func gathersMoreThanOneRoundHolds() throws {
    // Rounds carry 1 MiB per rank: lengths just above, at and below two of them.
    let lengths = [(2 << 20) + 1, 2 << 20, 17]
    let results = try InProcessGroup.run(size: 3) { communicator in
      let sent = [UInt8](unsafeUninitializedCapacity: lengths[communicator.rank]) { buffer, count in
        count = lengths[communicator.rank]
        memset(buffer.baseAddress!, Int32(communicator.rank + 1), count)
        buffer[count - 1] = 99
      }
      let gathered = try communicator.allGather(sent)
      return gathered.map { [$0.count, Int($0.first!), Int($0[$0.count - 2]), Int($0.last!)] }
    }
    for result in results { #expect(result == (0..<3).map { [lengths[$0], $0 + 1, $0 + 1, 99] }) }
  }

  @Test func emptyOperationsAreOperations() throws {
    let results = try InProcessGroup.run(size: 2) { communicator in
      try communicator.broadcast(UnsafeMutableRawBufferPointer(start: nil, count: 0), root: 1)
      return (try communicator.allReduce([], .sum), try communicator.allGather([]))
    }
    for result in results {
      #expect(result.0 == [])
      #expect(result.1 == [[], []])
    }
  }

  @Test func aBarrierHoldsEveryRankBack() throws {
    let arrived = Mutexed(0)
    let seen = try InProcessGroup.run(size: 4) { communicator in
      arrived.withLock { $0 += 1 }
      try communicator.barrier()
      return arrived.withLock { $0 }
    }
    #expect(seen == [4, 4, 4, 4])
  }

  @Test func manyReductionsAreUnderWayAndWaitedForFromTheLast() throws {
    // More than the ring of the communication thread holds (256).
    let count = 600
    let results = try InProcessGroup.run(size: 3) { communicator in
      let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: count * 2)
      defer { values.deallocate() }
      for i in 0..<(count * 2) { values[i] = Float(i * (communicator.rank + 1)) }
      func startAll(from bucket: Int) throws {
        let range = UnsafeMutableBufferPointer(rebasing: values[(bucket * 2)..<(bucket * 2 + 2)])
        let pending = communicator.startAllReduce(range, .sum)
        if bucket + 1 < count { try startAll(from: bucket + 1) }
        try pending.wait()
      }
      try startAll(from: 0)
      return Array(values)
    }
    for result in results { #expect(result == (0..<(count * 2)).map { Float($0 * 6) }) }
  }

  @Test func everyRankWaitsInAnOrderOfItsOwn() throws {
    let results = try InProcessGroup.run(size: 3) { communicator in
      let values = UnsafeMutableBufferPointer<Double>.allocate(capacity: 3)
      defer { values.deallocate() }
      values.initialize(repeating: Double(communicator.rank + 1))
      func start(_ index: Int, _ operation: ReductionOperation) -> PendingReduction {
        communicator.startAllReduce(UnsafeMutableBufferPointer(rebasing: values[index...index]), operation)
      }
      let sum = start(0, .sum)
      let least = start(1, .minimum)
      let most = start(2, .maximum)
      if communicator.rank == 0 {
        try most.wait()
        try least.wait()
        try sum.wait()
      } else {
        try least.wait()
        try sum.wait()
        try most.wait()
      }
      return Array(values)
    }
    for result in results { #expect(result == [6, 1, 3]) }
  }

  @Test func countsOperations() throws {
    let counts = try InProcessGroup.run(size: 2) { communicator in
      let before = Lane.allCases.map { communicator.operationCount(of: $0) }
      for _ in 0..<3 { _ = try communicator.allReduce([1], .sum) }
      try communicator.barrier()
      return zip(Lane.allCases, before).map { communicator.operationCount(of: $0) - $1 }
    }
    #expect(counts == [[1, 3], [1, 3]])
  }

  @Test func statisticsOvertakeGradients() throws {
    // Rank 1 begins with the gradients only when it has its statistics, rank 0 the other way round: one queue would never end.
    let results = try InProcessGroup.run(size: 2) { communicator in
      var floats: [Float] = [Float(communicator.rank + 1)]
      return try floats.withUnsafeMutableBufferPointer { gradients in
        if communicator.rank == 1 {
          let statistics = try communicator.allReduce([1], .sum)
          try communicator.startAllReduce(gradients, .sum).wait()
          return [statistics[0], Double(gradients[0])]
        }
        let pending = communicator.startAllReduce(gradients, .sum)
        let statistics = Result { try communicator.allReduce([1], .sum) }
        try pending.wait()
        return try [statistics.get()[0], Double(gradients[0])]
      }
    }
    #expect(results == [[2, 3], [2, 3]])
  }

  @Test(arguments: 2...4)
  func ranksThatWaitInDifferentLanesAreAnErrorOnAllRanks(ranks: Int) throws {
    // Behind background work in the other lane, which all reach.
    let errors = try InProcessGroup.run(size: ranks) { communicator -> CommunicationError? in
      var floats: [Float] = [1]
      return floats.withUnsafeMutableBufferPointer {
        let background = communicator.startAllReduce($0, .sum)
        var found: CommunicationError?
        do throws(CommunicationError) {
          if communicator.rank == 0 {
            try communicator.barrier()
          } else {
            _ = try communicator.allReduce([1], .sum)
          }
        } catch { found = error }
        try? background.wait()
        return found
      }
    }
    for error in errors {
      #expect(error?.exitCode == 70)
      let message = error?.description ?? "no error"
      #expect(message.contains("rank 0 calls barrier, rank 1 calls allReduce(sum) of 1 Double"), "\(message)")
    }
  }

  @Test(arguments: Lane.allCases)
  func aFaultInOneLaneEndsTheWaitInTheOther(failing: Lane) throws {
    // Rank 0 waits for a reduction in one lane that rank 1 never starts; the two disagree in the other.
    let errors = try InProcessGroup.run(size: 2) { communicator -> CommunicationError? in
      var floats = [Float](repeating: 0, count: 4)
      var doubles = [Double](repeating: 0, count: 4)
      return floats.withUnsafeMutableBufferPointer { floats in
        doubles.withUnsafeMutableBufferPointer { doubles in
          let count = 2 + communicator.rank
          func start(_ lane: Lane, _ count: Int) -> PendingReduction {
            lane == .gradients
              ? communicator.startAllReduce(UnsafeMutableBufferPointer(rebasing: floats[..<count]), .sum)
              : communicator.startAllReduce(UnsafeMutableBufferPointer(rebasing: doubles[..<count]), .sum)
          }
          let other = failing == .gradients ? Lane.statistics : .gradients
          var unmet = communicator.rank == 0 ? start(other, 4) : nil
          let mismatched = start(failing, count)
          var found: CommunicationError?
          do throws(CommunicationError) { try unmet.take()?.wait() } catch { found = error }
          do throws(CommunicationError) { try mismatched.wait() } catch { found = found ?? error }
          return found
        }
      }
    }
    for error in errors { #expect(error?.exitCode == 70, "\(String(describing: error))") }
  }

  @Test func differentCountsAreAnErrorOnAllRanks() throws {
    try expectMismatch(containing: ["rank 0 calls allReduce(sum) of 3 Double", "rank 1 calls", "of 4 Double"])
    {
      _ = try $0.allReduce([Double](repeating: 1, count: 3 + $0.rank % 2), .sum)
    }
  }

  @Test func differentOperationsAreAnErrorOnAllRanks() throws {
    try expectMismatch(containing: ["allReduce(sum) of 1 Double", "rank 2 calls allReduce(maximum)"]) {
      _ = try $0.allReduce([1], $0.rank == 2 ? .maximum : .sum)
    }
  }

  @Test func differentTypesAreAnErrorOnAllRanks() throws {
    try expectMismatch(containing: ["of 2 Double", "rank 2 calls allReduce(sum) of 2 Float"]) {
      if $0.rank == 2 {
        var floats: [Float] = [1, 2]
        try floats.withUnsafeMutableBufferPointer { [communicator = $0] values in
          try communicator.startAllReduce(values, .sum).wait()
        }
      } else {
        _ = try $0.allReduce([1, 2], .sum)
      }
    }
  }

  @Test func differentKindsAreAnErrorOnAllRanks() throws {
    try expectMismatch(containing: ["rank 0 calls allReduce(sum) of 1 Double", "rank 1 calls barrier"]) {
      if $0.rank == 1 { try $0.barrier() } else { _ = try $0.allReduce([1], .sum) }
    }
  }

  @Test func differentRootsAreAnErrorOnAllRanks() throws {
    try expectMismatch(containing: ["from rank 0", "rank 1 calls broadcast of 1 bytes from rank 1"]) {
      let root = $0.rank % 2
      var byte: [UInt8] = [0]
      try byte.withUnsafeMutableBytes { [communicator = $0] in try communicator.broadcast($0, root: root) }
    }
  }

  @Test func aRankThatEndsEarlyIsAnErrorOnTheOthers() throws {
    try expectMismatch(containing: ["calls barrier", "rank 1 has ended"], silent: [1]) {
      if $0.rank != 1 { try $0.barrier() }
    }
  }

  private func expectMismatch(
    containing parts: [String], silent: [Int] = [],
    _ body: @escaping @Sendable (any Communicator) throws -> Void
  ) throws {
    let errors = Mutexed([Int: CommunicationError]())
    let thrown = #expect(throws: CommunicationError.self) {
      try InProcessGroup.run(size: 3) { communicator in
        do {
          try body(communicator)
        } catch let error as CommunicationError {
          errors.withLock { $0[communicator.rank] = error }
          throw error
        }
      }
    }
    let seen = errors.withLock { $0 }
    #expect(seen.keys.sorted() == (0..<3).filter { !silent.contains($0) })
    for error in seen.values {
      #expect(error == thrown)
      #expect(error.exitCode == 70)
      for part in parts { #expect(error.description.contains(part)) }
    }
  }

  @Test func aRankThatThrowsReleasesTheOthers() throws {
    let seen = Mutexed([Int: CommunicationError]())
    #expect(throws: TestFailure(rank: 2)) {
      try InProcessGroup.run(size: 4) { communicator in
        if communicator.rank == 2 { throw TestFailure(rank: 2) }
        do {
          try communicator.barrier()
        } catch let error as CommunicationError {
          seen.withLock { $0[communicator.rank] = error }
          throw error
        }
      }
    }
    let errors = seen.withLock { $0 }
    #expect(errors.keys.sorted() == [0, 1, 3])
    for error in errors.values {
      #expect(error == .peerFailed(rank: 2, reason: "\(TestFailure(rank: 2))"))
      #expect(error.exitCode == 75)
    }
  }

  @Test func theFirstErrorSticks() throws {
    let errors = try InProcessGroup.run(size: 2) { communicator in
      var errors: [CommunicationError] = []
      // The second and third attempts match, but come too late.
      for attempt in 0..<3 {
        do {
          _ = try communicator.allReduce(
            [Double](repeating: 0, count: attempt == 0 ? communicator.rank : 1), .sum)
        } catch let error as CommunicationError {
          errors.append(error)
        }
      }
      return errors
    }
    for rank in errors {
      #expect(rank.count == 3)
      #expect(Set(rank.map(\.description)).count == 1)
    }
  }

  @Test func reductionsBeforeTheErrorAreDone() throws {
    let sums = try InProcessGroup.run(size: 2) { communicator in
      let sum = try communicator.allReduce([1], .sum)[0]
      #expect(throws: CommunicationError.self) {
        if communicator.rank == 0 { try communicator.barrier() } else { _ = try communicator.allGather([1]) }
      }
      return sum
    }
    #expect(sums == [2, 2])
  }

  @Test func finalizeMayBeCalledByTheBody() throws {
    let ranks = try InProcessGroup.run(size: 3) { communicator in
      try communicator.barrier()
      communicator.finalize()
      return communicator.rank
    }
    #expect(ranks == [0, 1, 2])
  }

  @Test func aDroppedReductionTraps() async {
    await #expect(processExitsWith: .failure) {
      try InProcessGroup.run(size: 2) { communicator in
        let values = UnsafeMutableBufferPointer<Double>.allocate(capacity: 1)
        values.initialize(repeating: 1)
        let pending = communicator.startAllReduce(values, .sum)
        try communicator.barrier()
        drop(pending)
        // Where the drop goes unnoticed, the process ends well.
        exit(0)
      }
    }
  }
}

private func drop(_ pending: consuming PendingReduction) {}
