import Testing

@testable import Communication

@Suite("ClockOffset") struct ClockOffsetTests {
  /// Barriers of two ranks whose clocks differ by `offset`; times of the first clock.
  private static func offset(_ offset: Int64, _ meetings: [(own: (Int, Int), other: (Int, Int))])
    -> ClockOffset
  {
    ClockOffset(
      own: meetings.map {
        ClockOffset.Meeting(
          entry: UInt64(Int64($0.own.0) + offset), exit: UInt64(Int64($0.own.1) + offset))
      },
      reference: meetings.map { ClockOffset.Meeting(entry: UInt64($0.other.0), exit: UInt64($0.other.1)) })
  }

  @Test("one barrier bounds the offset from both sides")
  func oneBarrier() {
    // This rank enters at 1000 and leaves at 1100, the other enters at 1050 and leaves at 1120: the offset lies in
    // 1000 + 500 - 1120 ... 1100 + 500 - 1050.
    let found = Self.offset(500, [(own: (1000, 1100), other: (1050, 1120))])
    #expect(found.nanoseconds == 465 && found.accuracy == 85)
  }

  @Test("the tightest bounds of several barriers are taken together")
  func intersection() {
    let found = Self.offset(
      -300,
      [
        // Lower bound from the first, where this rank is late; upper bound from the second, where the other is.
        (own: (1090, 1110), other: (1000, 1100)), (own: (2000, 2105), other: (2095, 2115)),
        (own: (3000, 3500), other: (3000, 3500)),
      ])
    // -310 ... -290
    #expect(found.nanoseconds == -300 && found.accuracy == 10)
  }

  @Test("the truth lies within the accuracy, whatever the delays", arguments: 1...20)
  func truth(seed: Int) {
    var random = SystemRandomNumberGenerator()
    let truth = Int64.random(in: -1_000_000...1_000_000, using: &random)
    let meetings = (1...10).map { round in
      let entries = (0..<2).map { _ in round * 10_000_000 + Int.random(in: 0..<100_000) }
      let met = entries.max()!
      let exits = (0..<2).map { _ in met + Int.random(in: 0..<50_000) }
      return (own: (entries[0], exits[0]), other: (entries[1], exits[1]))
    }
    let found = Self.offset(truth, meetings)
    #expect(abs(found.nanoseconds - truth) <= found.accuracy)
  }

  @Test("threads of one process have one clock: offsets are within the accuracy of 0")
  func threads() throws {
    let found = try InProcessGroup.run(size: 3) { try $0.clockOffsets().offsets }
    for offsets in found {
      #expect(offsets.count == 3)
      #expect(offsets[0].nanoseconds == 0 && offsets[0].accuracy == 0)
      for offset in offsets { #expect(abs(offset.nanoseconds) <= offset.accuracy) }
    }
    #expect(found[0] == found[2])
  }
}
