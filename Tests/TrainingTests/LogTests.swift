import Communication
import Foundation
import Testing

@testable import Training

@Suite("Logs and errors") struct LogTests {
  @Test("a run's log has the documented fields, one JSON object a line")
  func metrics() throws {
    try SmallRun.withFolder { folder in
      _ = try SmallRun.train(SmallRun.configuration(steps: 2), ranks: 1, output: folder)
      let text = try String(contentsOfFile: folder + "/metrics.jsonl", encoding: .utf8)
      let lines = try text.split(separator: "\n").map {
        try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
      }
      let events = lines.compactMap { $0["event"] as? String }
      #expect(events == ["start", "step", "step", "validation", "checkpoint", "end"])
      let wanted: Set = [
        "step", "epoch", "loss", "task_loss", "filter_loss", "accuracy", "learning_rate", "images_per_second",
        "seconds",
      ]
      #expect(wanted.isSubset(of: Set(lines[1].keys)))
      #expect(Set(["step", "epoch", "loss", "accuracy"]).isSubset(of: Set(lines[3].keys)))
    }
  }

  @Test("numbers that JSON cannot hold become null, texts are escaped")
  func values() {
    #expect(MetricsValue.number(.nan).json == "null")
    #expect(MetricsValue.number(.infinity).json == "null")
    #expect(MetricsValue.number(3).json == "3")
    #expect(MetricsValue.text("a\"b").json == "\"a\\\"b\"")
    #expect(MetricsValue.integers([1, 2]).json == "[1,2]")
  }

  @Test("a log that cannot be written warns once and never throws")
  func unwritable() {
    var warnings: [String] = []
    let log = MetricsLog(path: "/nonexistent/metrics.jsonl") { warnings.append($0) }
    log.write("step", ["step": 1])
    log.write("step", ["step": 2])
    #expect(warnings.count == 1)
  }

  @Test("a line for which there is not enough room is taken back: the next one is whole")
  func room() throws {
    try SmallRun.withFolder { folder in
      var warnings: [String] = []
      var room = 40
      let log = MetricsLog(
        path: folder + "/metrics.jsonl",
        append: { descriptor, bytes, count in
          errno = room == 0 ? ENOSPC : ENOENT
          let written = room == 0 ? -1 : write(descriptor, bytes, min(room, count))
          room -= max(0, written)
          return written
        }, report: { warnings.append($0) })
      for step in 1...4 {
        if step == 4 { room = 100 }
        log.write("step", ["step": .integer(step)])
      }
      let text = try String(contentsOfFile: folder + "/metrics.jsonl", encoding: .utf8)
      #expect(text == "{\"event\":\"step\",\"step\":1}\n{\"event\":\"step\",\"step\":4}\n")
      #expect(warnings.count == 1 && warnings[0].contains("metrics.jsonl: No space left on device – "))
    }
  }

  @Test("what fails on one rank fails on all, and names it")
  func onAllRanksOneFails() throws {
    let descriptions = try InProcessGroup.run(size: 3) { communicator -> String in
      do {
        try onAllRanks(communicator) {
          if communicator.rank == 1 { throw ExitError(code: 66, "no such file – x – look") }
        }
        return "no error"
      } catch let error as ExitError {
        return "\(error.code) \(error.isShared) \(error.description)"
      }
    }
    #expect(descriptions == [String](repeating: "66 true rank 1: no such file – x – look", count: 3))
  }

  @Test("what fails on all ranks alike is told without a rank")
  func onAllRanksAllFail() throws {
    let descriptions = try InProcessGroup.run(size: 2) { communicator -> String in
      do {
        try onAllRanks(communicator) { throw ExitError(code: 65, "bad") }
        return "no error"
      } catch let error as ExitError {
        return error.description
      }
    }
    #expect(descriptions == ["bad", "bad"])
  }
}
