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

  @Test func aCheckThatMeetsAnotherReductionIsAnError() throws {
    // As MPI would pair them: seven numbers that are no check at all.
    let messages = try InProcessGroup.run(size: 2) { communicator -> String in
      if communicator.rank == 0 {
        _ = try communicator.allReduce([.nan, 1, 2, 3, 4, 5, 6], .maximum)
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
