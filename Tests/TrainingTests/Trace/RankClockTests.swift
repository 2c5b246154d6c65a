import Communication
import Testing

@testable import Training

@Suite("RankClock") struct RankClockTests {
  private static func offset(_ nanoseconds: Int64, at time: UInt64, accuracy: Int64 = 0) -> ClockOffset {
    ClockOffset(nanoseconds: nanoseconds, accuracy: accuracy, time: time)
  }

  @Test("a constant difference is subtracted, from clocks that have run for years")
  func constant() {
    let begin: UInt64 = 100_000_000_000_000_000
    let clock = RankClock(
      first: Self.offset(7_000, at: begin), last: Self.offset(7_000, at: begin + 1_000_000, accuracy: 2_500),
      begin: begin)
    #expect(clock.microseconds(begin + 7_000) == 0)
    #expect(clock.microseconds(begin + 8_001) == 1.001)
    #expect(clock.accuracy == 2.5)
  }

  @Test("a difference that grows is taken to grow evenly")
  func drift() {
    let clock = RankClock(first: Self.offset(100, at: 1_000), last: Self.offset(300, at: 3_000), begin: 0)
    #expect(clock.microseconds(1_000) == 0.9)
    #expect(clock.microseconds(2_000) == 1.8)
    #expect(clock.microseconds(3_000) == 2.7)
  }

  @Test("a clock that is behind gives times after the beginning all the same")
  func behind() {
    let clock = RankClock(first: Self.offset(-50, at: 100), last: Self.offset(-50, at: 200), begin: 120)
    #expect(abs(clock.microseconds(100) - 0.03) < 1e-12)
  }
}
