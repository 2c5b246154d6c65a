import Communication
import Testing

@Suite struct SingleProcessTests {
  let communicator = SingleProcess()

  @Test func standsAlone() {
    #expect(communicator.rank == 0)
    #expect(communicator.size == 1)
    #expect(communicator.localRank == 0)
    #expect(communicator.localSize == 1)
  }

  @Test(arguments: [ReductionOperation.sum, .minimum, .maximum, .logSumExp])
  func valuesAreTheirOwnReduction(operation: ReductionOperation) throws {
    let values: [Double] = [3, -.infinity, 0.5]
    #expect(try communicator.allReduce(values, operation) == values)
    var floats: [Float] = [3, -.infinity, 0.5]
    try floats.withUnsafeMutableBufferPointer { try communicator.startAllReduce($0, operation).wait() }
    #expect(floats == [3, -.infinity, 0.5])
  }

  @Test func gathersAndBroadcastsItsOwnBytes() throws {
    #expect(try communicator.allGather([1, 2, 3]) == [[1, 2, 3]])
    var bytes: [UInt8] = [7, 8]
    try bytes.withUnsafeMutableBytes { try communicator.broadcast($0, root: 0) }
    #expect(bytes == [7, 8])
    try communicator.barrier()
    communicator.finalize()
  }

  @Test func aRootThatDoesNotExistTraps() async {
    await #expect(processExitsWith: .failure) {
      var byte: UInt8 = 0
      try withUnsafeMutableBytes(of: &byte) { try SingleProcess().broadcast($0, root: 1) }
    }
  }

  @Test func abortEndsTheProcessWithItsCode() async {
    await #expect(processExitsWith: .exitCode(75)) { SingleProcess().abort(code: 75) }
  }
}
