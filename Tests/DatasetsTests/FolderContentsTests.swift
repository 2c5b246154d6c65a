import Foundation
import Testing

@testable import Datasets

@Suite struct FolderContentsTests {
  let folder = TemporaryFolder()

  private func stamp() throws -> UInt64 { try FolderContents(folder.path, SystemFiles()).stamp }

  @Test(arguments: ["images/", ""]) func theStampFollowsNamesFoldersAndAnnotations(prefix: String) throws {
    writeClasses(folder, [("a", 3), ("b", 3)], prefix: prefix)
    var seen = [try stamp()]
    func change(_ body: () throws -> Void) throws {
      try body()
      seen.append(try stamp())
    }
    let files = FileManager.default
    func path(_ name: String) -> String { folder.path + "/" + prefix + name }
    try change { folder.write(prefix + "a/004.png", "x") }
    try change { folder.remove(prefix + "a/001.png") }
    try change { try files.moveItem(atPath: path("a/003.png"), toPath: path("a/005.png")) }
    // Another file of the same name, moved into the place of the first, later than a tick of the file system's clock.
    usleep(20_000)
    folder.write(".elsewhere", "x")
    try change { rename(folder.path + "/.elsewhere", path("a/002.png")) }
    try change { folder.write(prefix + "c/001.png", "x") }
    try change { folder.write("annotations.jsonl", "{}") }
    try change { folder.write("annotations.jsonl", "{ }") }
    #expect(Set(seen).count == seen.count)
  }

  /// Neither the index itself nor what is written into a file's place.
  @Test func theStampDoesNotFollowTheRest() throws {
    writeClasses(folder, [("a", 3), ("b", 3)], prefix: "")
    let first = try stamp()
    folder.write(".icnn-index", "x")
    let file = FileHandle(forWritingAtPath: folder.path + "/a/001.png")
    file?.write(Data("other".utf8))
    try file?.close()
    #expect(try stamp() == first)
  }

  @Test func aCopyHasAnotherStamp() throws {
    writeClasses(folder, [("a", 3), ("b", 3)])
    let first = try stamp()
    let copy = TemporaryFolder()
    try FileManager.default.copyItem(atPath: folder.path + "/images", toPath: copy.path + "/images")
    #expect(try FolderContents(copy.path, SystemFiles()).stamp != first)
  }
}
