import Foundation
import Testing

@testable import Communication

@Suite("LaneFault") struct LaneFaultTests {
  private static let error = CommunicationError.collectiveFailed(operation: "one", reason: "asked for")
  private static let other = CommunicationError.collectiveFailed(operation: "two", reason: "asked for")

  @Test("the first error is kept")
  func first() {
    let fault = LaneFault(Heartbeat())
    #expect(fault.error == nil)
    fault.record(Self.error)
    fault.record(Self.other)
    #expect(fault.error == Self.error)
  }

  @Test("a lane that does not leave its operation is given up, once, with the first error")
  func stuck() {
    let heartbeat = Heartbeat()
    LaneHeartbeat(heartbeat: heartbeat, lane: .gradients).arrive(4, Collective(.barrier))
    let abandoned = DispatchSemaphore(value: 0)
    let errors = Mutexed<[CommunicationError]>([])
    let fault = LaneFault(heartbeat, graceSeconds: 0.02) { error, status in
      errors.withLock { $0.append(error) }
      #expect(status.gradients.isWaiting)
      abandoned.signal()
    }
    fault.record(Self.error)
    fault.record(Self.other)
    #expect(abandoned.wait(timeout: .now() + 30) == .success)
    #expect(abandoned.wait(timeout: .now() + 0.1) == .timedOut)
    #expect(errors.withLock { $0 } == [Self.error])
  }

  @Test("a lane that goes on by itself is not", arguments: [false, true])
  func goesOn(toAnother: Bool) {
    let heartbeat = Heartbeat()
    let lane = LaneHeartbeat(heartbeat: heartbeat, lane: .statistics)
    lane.arrive(4, Collective(.barrier))
    let abandoned = DispatchSemaphore(value: 0)
    LaneFault(heartbeat, graceSeconds: 0.3) { _, _ in abandoned.signal() }.record(Self.error)
    lane.leave()
    if toAnother { lane.arrive(5, Collective(.barrier)) }
    #expect(abandoned.wait(timeout: .now() + 0.6) == .timedOut)
  }
}
