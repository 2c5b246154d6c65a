import Communication
import Testing

@Suite struct StepGuardTests {
  @Test(arguments: 1...4)
  func ranksInStepGoOn(ranks: Int) throws {
    let stops = try InProcessGroup.run(size: ranks) { communicator in
      let guardian = StepGuard(communicator)
      return try [0, 1, 2, 4_294_967_295].map { step in
        guardian.start(step: step, parameterHash: 0xdead_beef_0000_0001 &* UInt64(step), stopRequested: false)
        return try guardian.wait()
      }
    }
    for rank in stops { #expect(rank == [false, false, false, false]) }
  }

  @Test(arguments: 0..<4)
  func aRankThatIsAskedToStopStopsAll(asked: Int) throws {
    let stops = try InProcessGroup.run(size: 4) { communicator in
      let guardian = StepGuard(communicator)
      return try (0..<4).map { step in
        guardian.start(step: step, parameterHash: 0, stopRequested: step == 2 && communicator.rank == asked)
        return try guardian.wait()
      }
    }
    for rank in stops { #expect(rank == [false, false, true, false]) }
  }

  @Test func aSingleProcessStopsToo() throws {
    let guardian = StepGuard(SingleProcess())
    guardian.start(step: 5, parameterHash: 9, stopRequested: true)
    #expect(try guardian.wait())
    guardian.start(step: 6, parameterHash: 9, stopRequested: false)
    #expect(try !guardian.wait())
  }

  private func outOfStep(
    _ body: @escaping @Sendable (any Communicator, StepGuard) throws -> Void
  ) throws -> String {
    let errors = try InProcessGroup.run(size: 3) { communicator -> CommunicationError? in
      let guardian = StepGuard(communicator)
      do {
        try body(communicator, guardian)
        _ = try guardian.wait()
        return nil
      } catch let error as CommunicationError { return error }
    }
    for error in errors {
      #expect(error == errors[0])
      #expect(error?.exitCode == 70)
    }
    return errors[0]?.description ?? "no error"
  }

  @Test func anotherStepIsNamed() throws {
    let message = try outOfStep {
      $1.start(step: $0.rank == 1 ? 41 : 40, parameterHash: 0, stopRequested: false)
    }
    #expect(message.contains("ranks are out of step – step: 40 on rank 0, 41 on rank 1 – "))
  }

  @Test(arguments: [0x0000_0001_0000_0002 as UInt64, 0x0000_0000_0000_0007])
  func otherParametersAreNamed(hash: UInt64) throws {
    let message = try outOfStep {
      $1.start(step: 4, parameterHash: $0.rank == 2 ? hash : 2, stopRequested: false)
    }
    let folded = hash == 7 ? "7" : "3"
    #expect(message.contains("parameter hash: 0x2 on rank 0, 0x\(folded) on rank 2 – "))
  }

  @Test(arguments: Lane.allCases)
  func anotherNumberOfCollectivesIsNamed(lane: Lane) throws {
    let errors = try InProcessGroup.run(size: 3) { communicator -> CommunicationError? in
      let guardian = StepGuard(Miscounting(communicator, in: lane, by: communicator.rank == 1 ? 5 : 0))
      guardian.start(step: 4, parameterHash: 0, stopRequested: false)
      do throws(CommunicationError) {
        _ = try guardian.wait()
        return nil
      } catch { return error }
    }
    let field = lane == .gradients ? "number of collectives" : "number of statistics"
    for error in errors {
      let message = error?.description ?? "no error"
      #expect(message.contains("ranks are out of step – \(field): 0 on rank 0, 5 on rank 1 – "), "\(message)")
    }
  }

  @Test func aCheckThatMeetsAnotherReductionIsAnError() throws {
    // As MPI would pair them: nine numbers that are no check at all.
    let messages = try InProcessGroup.run(size: 2) { communicator -> String in
      if communicator.rank == 0 {
        _ = try communicator.allReduce([.nan, 1, 2, 3, 4, 5, 6, 7, 8], .maximum)
        return ""
      }
      let guardian = StepGuard(communicator)
      guardian.start(step: 4, parameterHash: 0, stopRequested: false)
      do throws(CommunicationError) {
        _ = try guardian.wait()
        return "no error"
      } catch { return error.description }
    }
    #expect(messages[1].contains("ranks are out of step – step: unreadable (-1.0), unreadable (nan) – "))
  }

  @Test func aStepThatFailsLetsGoOfItsCheck() throws {
    struct Failed: Error {}
    #expect(throws: Failed.self) {
      try InProcessGroup.run(size: 2) { communicator in
        let guardian = StepGuard(communicator)
        guardian.start(step: 0, parameterHash: 0, stopRequested: false)
        throw Failed()
      }
    }
  }

  @Test func aCheckThatIsNotWaitedForTraps() async {
    await #expect(processExitsWith: .failure) {
      let guardian = StepGuard(SingleProcess())
      guardian.start(step: 0, parameterHash: 0, stopRequested: false)
      guardian.start(step: 1, parameterHash: 0, stopRequested: false)
    }
  }
}

/// A rank that has asked for more operations in a lane than the others.
private final class Miscounting: Communicator {
  private let base: any Communicator
  private let lane: Lane
  private let surplus: UInt64

  init(_ base: any Communicator, in lane: Lane, by surplus: UInt64) {
    (self.base, self.lane, self.surplus) = (base, lane, surplus)
  }

  func operationCount(of lane: Lane) -> UInt64 {
    base.operationCount(of: lane) + (lane == self.lane ? surplus : 0)
  }

  var rank: Int { base.rank }
  var size: Int { base.size }
  var localRank: Int { base.localRank }
  var localSize: Int { base.localSize }
  var heartbeat: Heartbeat { base.heartbeat }
  func startAllReduce(_ values: UnsafeMutableBufferPointer<Float>, _ operation: ReductionOperation)
    -> PendingReduction
  { base.startAllReduce(values, operation) }
  func startAllReduce(_ values: UnsafeMutableBufferPointer<Double>, _ operation: ReductionOperation)
    -> PendingReduction
  { base.startAllReduce(values, operation) }
  func gradientExchange(_ path: ReductionPath, _ precision: ExchangePrecision) -> GradientExchange {
    base.gradientExchange(path, precision)
  }
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, root: Int) throws(CommunicationError) {
    try base.broadcast(bytes, root: root)
  }
  func allGather(_ bytes: [UInt8]) throws(CommunicationError) -> [[UInt8]] { try base.allGather(bytes) }
  func barrier() throws(CommunicationError) { try base.barrier() }
  func finalize() { base.finalize() }
  func abort(code: Int32) -> Never { base.abort(code: code) }
}
