import Testing

@testable import Datasets

@Suite struct DataFilesTests {
  @Test func filesOfTheSystem() throws {
    let folder = TemporaryFolder()
    folder.write("a/1.png", "four")
    let files = SystemFiles()
    let status = try #require(try files.status(folder.path + "/a/1.png"))
    #expect(!status.isFolder && status.bytes == 4 && status.inode > 0)
    #expect(status.modified > 1_600_000_000_000_000_000 && status.changed >= status.modified)
    #expect(try files.status(folder.path + "/a")?.isFolder == true)
    #expect(try files.status(folder.path + "/b") == nil)
    #expect(try files.status(folder.path + "/a/1.png/below") == nil)
    #expect(try files.names(folder.path + "/a") == ["1.png"])
    #expect(!files.host.isEmpty)
    var bytes: [UInt8] = [1]
    try files.read(folder.path + "/a/1.png", into: &bytes)
    #expect(bytes == Array("four".utf8))
  }

  @Test func filesInMemory() throws {
    let files = FilesInMemory(root: "some/set", files: ["images/a/1.png": [1, 2], "annotations.jsonl": []])
    #expect(files.status("some/set/images/a/1.png")?.bytes == 2)
    #expect(files.status("some/set/images")?.isFolder == true && files.status("some/set")?.isFolder == true)
    #expect(files.status("some/set/images/b") == nil)
    #expect(Set(files.names("some/set/")) == ["images", "annotations.jsonl"])
    #expect(files.names("some/set/images/") == ["a"])
    var bytes: [UInt8] = []
    try files.read("some/set/images/a/1.png", into: &bytes)
    #expect(bytes == [1, 2])
    #expect(datasetError { try files.read("some/set/images/a/2.png", into: &bytes) }?.exitCode == 66)
  }
}
