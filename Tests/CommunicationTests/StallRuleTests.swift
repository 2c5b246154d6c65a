import Testing

@testable import Communication

@Suite("StallRule") struct StallRuleTests {
  private static let now = 1000.0
  private static let rule = StallRule(timeout: 10, hosts: ["a", "a", "a", "b"])

  /// A rank of host a that runs, and has waited in collective 7 of a lane for `waited` seconds.
  private static func waiting(
    _ rank: Int, for waited: Double, arrived: UInt64 = 7, in lane: Lane = .gradients
  ) -> RankStatus {
    var status = RankStatus(
      rank: rank, process: 100 + Int32(rank), tick: now, phase: .backward, step: 4,
      phaseBegan: now - waited - 1)
    let wait = LaneStatus(arrived: arrived, isWaiting: true, progress: now - waited)
    switch lane {
    case .gradients: status.gradients = wait
    case .statistics: status.statistics = wait
    }
    return status
  }

  /// A rank of host a that runs, has left collective 6 and been in `phase` for `seconds`.
  private static func working(_ rank: Int, _ phase: Heartbeat.Phase, for seconds: Double) -> RankStatus {
    RankStatus(
      rank: rank, process: 100 + Int32(rank), tick: now, phase: phase, step: 4, phaseBegan: now - seconds,
      gradients: LaneStatus(arrived: 6, isWaiting: false, progress: now - seconds))
  }

  private static func message(_ own: RankStatus, _ others: RankStatus..., rule: StallRule = rule) -> String? {
    rule.stall(own, [own] + others, now: now).map { rule.message($0, own, now: now) }
  }

  @Test("a wait below the time-out is none, whoever is missing")
  func patience() {
    var halted = Self.working(1, .backward, for: 100)
    halted.tick = Self.now - 100
    #expect(Self.message(Self.waiting(0, for: 9.9), halted) == nil)
    #expect(Self.message(Self.waiting(0, for: 10), halted) != nil)
  }

  @Test("who does not run is to blame, in any phase", arguments: Heartbeat.Phase.allCases)
  func halted(phase: Heartbeat.Phase) throws {
    var halted = Self.working(1, phase, for: 12)
    halted.tick = Self.now - 11
    let message = try #require(Self.message(Self.waiting(0, for: 11), halted, Self.waiting(2, for: 11)))
    #expect(
      message == "a rank is halted or dead – rank 1 (process 101 on a) has not run for 11 s; it was last "
        + "\(phase), step 4 – rank 0 on a has waited 11 s in the backward pass, step 4, in collective 7 of the "
        + "lane of gradients: barrier – start again with --resume")
    halted.tick = Self.now - 7
    #expect(Self.message(Self.waiting(0, for: 11), halted)?.contains("halted") != true)
  }

  @Test("who runs and computes is to blame once that takes too long")
  func stuck() throws {
    #expect(Self.message(Self.waiting(0, for: 30), Self.working(1, .forward, for: 9)) == nil)
    let message = try #require(Self.message(Self.waiting(0, for: 30), Self.working(1, .forward, for: 11)))
    #expect(
      message.hasPrefix(
        "a rank is stalled – rank 1 (process 101 on a) has for 11 s been in the forward pass"))
  }

  @Test("what has no natural length is waited for")
  func openEnded() {
    for phase in Heartbeat.Phase.allCases {
      let message = Self.message(Self.waiting(0, for: 5000), Self.working(1, phase, for: 5000))
      #expect((message == nil) == phase.isOpenEnded, "\(phase)")
    }
  }

  @Test("who waits for the same ranks is not to blame")
  func victims() throws {
    // Rank 1 waits in the collective before; the world's rank 3 is on another host.
    let victim = Self.waiting(1, for: 12, arrived: 6)
    let message = try #require(Self.message(Self.waiting(0, for: 12), victim, Self.waiting(2, for: 12)))
    #expect(message.contains("all ranks of this host have arrived; not rank 3 on b"))
    // It goes on, piece by piece.
    #expect(Self.message(Self.waiting(0, for: 12), Self.waiting(1, for: 1, arrived: 6)) == nil)
  }

  @Test("a wait in either lane counts, by what has arrived in that lane", arguments: Lane.allCases)
  func lanes(lane: Lane) throws {
    let other = lane == .gradients ? Lane.statistics : .gradients
    // Rank 1 has come further in the other lane, and computes.
    var late = Self.working(1, .forward, for: 11)
    late.gradients = LaneStatus(arrived: lane == .gradients ? 6 : 9, progress: Self.now - 11)
    late.statistics = LaneStatus(arrived: lane == .statistics ? 6 : 9, progress: Self.now - 11)
    let own = Self.waiting(0, for: 12, in: lane)
    let message = try #require(Self.message(own, late))
    #expect(message.hasPrefix("a rank is stalled – rank 1 (process 101 on a) has for 11 s been"))
    #expect(message.contains(" in collective 7 of the lane of \(lane): barrier –"), "\(message)")
    // What its other lane carries out goes on, or waits for others itself.
    let busy = Self.waiting(1, for: 1, arrived: 6, in: other)
    #expect(Self.message(own, busy) == nil)
    let victim = Self.waiting(1, for: 12, arrived: 6, in: other)
    let cause = Self.rule.stall(own, [own, victim, Self.waiting(2, for: 12, in: lane)], now: Self.now)?.cause
    guard case .unseen([3]) = cause else {
      Issue.record("\(String(describing: cause))")
      return
    }
  }

  @Test("ranks that cannot be seen are given more time where all may be at something long")
  func unseen() throws {
    var own = Self.waiting(0, for: 99)
    own.phase = .checkpoint
    let others = [Self.waiting(1, for: 99), Self.waiting(2, for: 99)]
    #expect(Self.rule.stall(own, [own] + others, now: Self.now) == nil)
    own.gradients.progress = Self.now - 100
    let stall = Self.rule.stall(own, [own] + others, now: Self.now)
    guard case .unseen([3]) = stall?.cause else {
      Issue.record("\(String(describing: stall))")
      return
    }
  }

  @Test("all have arrived and none goes on")
  func nobody() throws {
    let rule = StallRule(timeout: 10, hosts: ["a", "a"])
    let message = try #require(
      Self.message(Self.waiting(0, for: 12), Self.waiting(1, for: 12), rule: rule))
    #expect(
      message.hasPrefix("communication is stalled – all ranks have arrived, none goes on – rank 0 on a"))
  }
}

@Suite("Heartbeat") struct HeartbeatTests {
  @Test("says what was written, also after it has moved")
  func words() {
    let heartbeat = Heartbeat()
    heartbeat.enter(.backward, step: 12)
    var collective = Collective(.allReduceFloat)
    collective.count = 77
    collective.operation = .maximum
    collective.bucket = 300
    LaneHeartbeat(heartbeat: heartbeat, lane: .gradients).arrive(5, collective)
    LaneHeartbeat(heartbeat: heartbeat, lane: .statistics).arrive(9, Collective(.barrier))
    let memory = UnsafeMutableRawPointer.allocate(byteCount: Heartbeat.stride, alignment: 64)
    defer { memory.deallocate() }
    heartbeat.move(to: memory, rank: 3)
    var status = Heartbeat.status(in: memory)
    #expect(status.rank == 3 && status.phase == .backward && status.step == 12 && status.tick > 0)
    #expect(status[.gradients].arrived == 5 && status[.statistics].arrived == 9)
    #expect(status.gradients.isWaiting && status.gradients.progress >= status.phaseBegan)
    #expect("\(status.gradients.collective)" == "allReduce(maximum) of 77 Float (bucket 300)")
    #expect("\(status.statistics.collective)" == "barrier")
    LaneHeartbeat(heartbeat: heartbeat, lane: .gradients).leave()
    status = Heartbeat.status(in: memory)
    #expect(status.isWaiting && !status.gradients.isWaiting && status.statistics.isWaiting)
    LaneHeartbeat(heartbeat: heartbeat, lane: .statistics).leave()
    heartbeat.enter(.checkpoint, step: 13)
    status = Heartbeat.status(in: memory)
    #expect(!status.isWaiting && status.phase == .checkpoint && status.step == 13)
    #expect(heartbeat.status.step == 13)
  }
}
