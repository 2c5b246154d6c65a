import Foundation
import Testing

@testable import Training

@Suite("Event files") struct EventFileTests {
  private func file(
    _ folder: String, time: Double = 1_700_000_000, _ report: @escaping (String) -> Void = { _ in }
  )
    -> EventFile
  {
    EventFile(folder: folder, time: time, header: [9], report: report)
  }

  @Test("a record is length, checksum, content, checksum, little-endian")
  func record() {
    let content = [UInt8]("abc".utf8)
    let record = EventFile.record(content)
    #expect(record[0..<8] == [3, 0, 0, 0, 0, 0, 0, 0])
    #expect(record[12..<15] == content[...])
    let checksum = CRC32C.masked(content)
    #expect(Array(record[15...]) == (0..<4).map { UInt8(truncatingIfNeeded: checksum >> (8 * UInt32($0))) })
    #expect(record.count == 19)
  }

  @Test("records are written by a flush, and by the end of the file's life")
  func flush() throws {
    try SmallRun.withFolder { folder in
      let path: String
      do {
        let file = file(folder)
        path = file.path
        file.append([1, 2])
        #expect(!FileManager.default.fileExists(atPath: path))
        file.flush()
        let written = try Data(contentsOf: URL(fileURLWithPath: path))
        #expect(written == Data(EventFile.record([9]) + EventFile.record([1, 2])))
        file.append([3])
      }
      let written = try Data(contentsOf: URL(fileURLWithPath: path))
      #expect(written == Data(EventFile.record([9]) + EventFile.record([1, 2]) + EventFile.record([3])))
    }
  }

  @Test("files of one second have different names, those of later seconds sort behind")
  func names() throws {
    try SmallRun.withFolder { folder in
      let first = file(folder)
      first.flush()
      let second = file(folder)
      second.flush()
      let later = file(folder, time: 1_700_000_001)
      #expect([first.path, second.path, later.path] == [first.path, second.path, later.path].sorted())
      #expect(Set([first.path, second.path, later.path]).count == 3)
      #expect(first.path.hasPrefix(folder + "/events.out.tfevents.1700000000."))
    }
  }

  @Test("a folder that is not there warns once; the records are written when it is there again")
  func unwritable() throws {
    try SmallRun.withFolder { folder in
      var warnings: [String] = []
      let file = file(folder + "/late") { warnings.append($0) }
      file.append([1])
      file.flush()
      file.flush()
      #expect(warnings.count == 1)
      #expect(warnings.first?.contains("training goes on") == true)
      try FileManager.default.createDirectory(atPath: folder + "/late", withIntermediateDirectories: false)
      file.flush()
      let written = try Data(contentsOf: URL(fileURLWithPath: file.path))
      #expect(written == Data(EventFile.record([9]) + EventFile.record([1])))
    }
  }

  @Test("of records that cannot be written only the latest are kept, whole")
  func waitingLimit() throws {
    try SmallRun.withFolder { folder in
      let file = file(folder + "/late")
      let content = [UInt8](repeating: 7, count: 1 << 20)
      for index in UInt8(0)..<12 {
        file.append([index] + content)
        file.flush()
      }
      #expect(file.waitingBytes < 6 << 20)
      try FileManager.default.createDirectory(atPath: folder + "/late", withIntermediateDirectories: false)
      file.flush()
      let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: file.path)))
      #expect(bytes.starts(with: EventFile.record([9])))
      #expect(bytes.suffix(content.count + 17) == EventFile.record([11] + content)[...])
      #expect((bytes.count - EventFile.record([9]).count) % (content.count + 17) == 0)
    }
  }
}
