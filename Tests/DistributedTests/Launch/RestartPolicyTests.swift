import Testing

@testable import icnn

@Suite("RestartPolicy") struct RestartPolicyTests {
  @Test("restarts without progress come after growing pauses, and are counted")
  func pauses() {
    var policy = RestartPolicy(maxRestarts: 3)
    #expect(policy.decide(.always, progressed: false) == .restart(afterSeconds: 1))
    #expect(policy.decide(.always, progressed: false) == .restart(afterSeconds: 2))
    #expect(policy.decide(.always, progressed: false) == .restart(afterSeconds: 4))
    #expect(policy.decide(.always, progressed: false) == .giveUp)
    #expect((1...9).map(RestartPolicy.backOff) == [1, 2, 4, 8, 16, 32, 60, 60, 60])
  }

  @Test("a new checkpoint makes them begin anew")
  func progress() {
    var policy = RestartPolicy(maxRestarts: 1)
    for _ in 0..<5 { #expect(policy.decide(.always, progressed: true) == .restart(afterSeconds: 1)) }
    #expect(policy.decide(.always, progressed: false) == .giveUp)
  }

  @Test("what will not end better is not tried")
  func retries() {
    var policy = RestartPolicy(maxRestarts: 3)
    #expect(policy.decide(.never, progressed: true) == .end)
    #expect(policy.decide(.afterProgress, progressed: false) == .end)
    #expect(policy.decide(.afterProgress, progressed: true) == .restart(afterSeconds: 1))
    var none = RestartPolicy(maxRestarts: 0)
    #expect(none.decide(.always, progressed: true) == .end)
  }
}
