import Testing

@testable import Communication

@Suite struct CommunicatorBytesTests {
  /// Nothing, little, a block and a byte, more than two blocks.
  @Test(arguments: [0, 1, 1000, (16 << 20) + 1, (33 << 20) + 5]) func bytesReachAllRanks(count: Int) throws {
    let ranks = count > 1 << 20 ? 2 : 4
    let expected = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 9) }
    for root in [0, ranks - 1] {
      let found = try InProcessGroup.run(size: ranks) { communicator in
        try communicator.broadcast(communicator.rank == root ? expected : [9, 9], root: root) == expected
      }
      #expect(found == [Bool](repeating: true, count: ranks))
    }
    #expect(try SingleProcess().broadcast(expected, root: 0) == expected)
  }
}
