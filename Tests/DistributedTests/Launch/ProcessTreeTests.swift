import Foundation
import TestSupport
import Testing

@testable import icnn

@Suite("ProcessTree") struct ProcessTreeTests {
  @Test("children of a parent that has died are remembered, and ended")
  func orphans() throws {
    let parent = try ProcessRun(
      URL(fileURLWithPath: "/bin/sh"), ["-c", "sleep 600 & (sleep 601; true) & echo ready; wait"],
      timeoutSeconds: 300)
    #expect(parent.waitForOutput(containing: "ready"))
    var tree = ProcessTree(root: parent.processIdentifier)
    // A shell between: sleep, shell, sleep.
    let complete = parent.wait {
      tree.look()
      return tree.alive.count == 3
    }
    #expect(complete)
    parent.signal(SIGKILL)
    // `wait` would wait for the children too, which hold what Foundation notices an end by.
    let stat = "/proc/\(parent.processIdentifier)/stat"
    for _ in 0..<500 {
      guard let text = try? String(contentsOfFile: stat, encoding: .utf8), !text.contains(") Z") else {
        break
      }
      usleep(10_000)
    }
    #expect(tree.alive.count == 3)
    #expect(tree.end(after: 0.1) == 3)
    for _ in 0..<100 where !tree.alive.isEmpty { usleep(10_000) }
    #expect(tree.alive.isEmpty)
    #expect(tree.end(after: 0) == 0)
    _ = parent.wait()
  }
}
