import Foundation
import Synchronization
import Testing

@testable import Training

@Suite("Run folder") struct RunFolderTests {
  private static func error(_ body: () throws -> Void) throws -> ExitError {
    try #require(throws: ExitError.self) { try body() }
  }

  @Test("another run is not written over, and continued only when asked")
  func otherRun() throws {
    try SmallRun.withFolder { folder in
      try "".write(toFile: folder + "/metrics.jsonl", atomically: true, encoding: .utf8)
      let refusal = try Self.error { _ = try RunFolder(folder, resume: false) }
      #expect(refusal.code == 64 && refusal.description.contains("holds another run – \(folder)"))
      _ = try RunFolder(folder, resume: true)
    }
  }

  @Test("while one training has the folder another is refused, and told whose it is")
  func locked() throws {
    try SmallRun.withFolder { folder in
      let first = try RunFolder(folder, resume: false, patienceSeconds: 0)
      let refusal = try Self.error { _ = try RunFolder(folder, resume: true, patienceSeconds: 0.2) }
      #expect(refusal.code == 75)
      #expect(refusal.description.contains("is being trained – \(folder) by process \(getpid()) on "))
      #expect(first.path == folder)
    }
  }

  @Test("a training that is about to end is waited for")
  func patience() throws {
    try SmallRun.withFolder { folder in
      let first = Mutex<RunFolder?>(try RunFolder(folder, resume: false))
      Thread.detachNewThread {
        usleep(300_000)
        first.withLock { $0 = nil }
      }
      let second = try RunFolder(folder, resume: true, patienceSeconds: 60)
      #expect(first.withLock { $0 == nil } && second.path == folder)
    }
  }

  @Test("a folder without room for a lock names its file")
  func unwritable() throws {
    try SmallRun.withFolder { folder in
      try FileManager.default.createDirectory(atPath: folder + "/lock", withIntermediateDirectories: true)
      let refusal = try Self.error { _ = try RunFolder(folder, resume: false) }
      #expect(refusal.code == 74 && refusal.description.contains("\(folder)/lock: Is a directory"))
    }
  }
}
