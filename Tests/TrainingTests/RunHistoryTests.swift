import Foundation
import Testing

@testable import Training

@Suite("History of a run") struct RunHistoryTests {
  private func start(_ step: Int, ranks: Int) -> String {
    #"{"event":"start","version":"1.0","step":\#(step),"ranks":\#(ranks),"threads":2,"isa":"avx2","steps":9}"#
  }

  private func step(_ step: Int, _ seconds: Double) -> String {
    #"{"event":"step","step":\#(step),"seconds":\#(seconds)}"#
  }

  private func history(_ lines: [String], step: Int) -> RunHistory {
    RunHistory(lines: lines.map { Data($0.utf8) }, step: step)
  }

  @Test("every start and the time of the steps up to the checkpoint")
  func resumed() {
    let lines = [
      start(0, ranks: 1), step(1, 2), step(2, 3), #"{"event":"checkpoint","step":2}"#, start(2, ranks: 4),
      step(3, 1.5), step(4, 100), "{\"event\":\"st", "", start(4, ranks: 8), step(5, 1000),
    ]
    let history = history(lines, step: 3)
    #expect(history.starts.map(\.ranks) == [1, 4])
    #expect(history.starts.map(\.step) == [0, 2])
    #expect(history.starts[0].isa == "avx2" && history.starts[0].threads == 2)
    #expect(history.seconds == 6.5)
  }

  @Test("what was done again counts once, as the later process did it")
  func again() {
    let lines = [
      start(0, ranks: 1), step(1, 2), step(2, 50), step(3, 60), start(1, ranks: 2), step(2, 4),
      start(1, ranks: 3),
      step(2, 5), step(3, 7),
    ]
    let history = history(lines, step: 3)
    #expect(history.starts.map(\.ranks) == [1, 3])
    #expect(history.seconds == 14)
  }

  @Test("a checkpoint without a log has none")
  func absent() {
    #expect(RunHistory(checkpoint: "/nonexistent/checkpoints/step-00000001", step: 1) == nil)
    #expect(history([start(0, ranks: 1)], step: 0).starts.count == 1)
  }
}
