import Foundation
import Testing

@testable import icnn

@Suite("RunProgress") struct RunProgressTests {
  @Test("the newest checkpoint and the length of the log")
  func folder() throws {
    try Program.withFolder { folder in
      #expect(RunProgress(folder + "/none").hasBegun == false)
      #expect(RunProgress(folder).description == "the beginning")
      try "{}\n".write(toFile: folder + "/metrics.jsonl", atomically: true, encoding: .utf8)
      #expect(RunProgress(folder).hasBegun && RunProgress(folder).checkpointStep == nil)
      for name in ["step-00000009", "step-00000120", ".writing-step-00000200"] {
        try FileManager.default.createDirectory(
          atPath: folder + "/checkpoints/" + name, withIntermediateDirectories: true)
      }
      #expect(RunProgress(folder).checkpointStep == 120)
      #expect(RunProgress(folder).description == "step 120")
    }
  }
}
