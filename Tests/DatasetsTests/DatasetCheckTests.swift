import Foundation
import Synchronization
import Testing

@testable import Datasets

@Suite struct DatasetCheckTests {
  let folder = TemporaryFolder()

  /// 40 + 20 images, five of them unusable, each in its own way.
  init() {
    writeClasses(folder, [("a", 40), ("b", 20)])
    let png = folder.read("images/a/001.png")
    folder.write("images/a/002.png", Array(png.prefix(png.count / 2)))
    folder.write("images/a/017.png", [])
    folder.write("images/a/050.jpg", "no image but a text\n")
    let jpeg = encodeJPEG(patternImage(width: 30, height: 30))
    folder.write("images/b/003.jpg", Array(jpeg.prefix(jpeg.count * 2 / 3)))
    folder.write("images/b/004.jpg", png)  // only the name is wrong
    folder.write("annotations.jsonl", "{\"image\":\"images/b/005.png\",\"width\":500,\"height\":5}")
  }

  static let bad = [
    "images/a/002.png", "images/a/017.png", "images/a/050.jpg", "images/b/003.jpg", "images/b/005.png",
  ]

  @Test func findsEveryUnusableImage() throws {
    let largest = Mutex(0)
    let images = try ImageFolder(folder.path)
    let found = DatasetCheck.verify(images) { done in largest.withLock { $0 = max($0, done) } }
    #expect(found.map(\.path) == Self.bad)
    let reasons = ["damaged PNG", "empty", "text", "damaged JPEG", "annotation says 500 x 5"]
    for (image, expected) in zip(found, reasons) { #expect(image.reason.contains(expected)) }
    #expect(largest.withLock { $0 } == images.samples.count)
    #expect(DatasetCheck.verify(images.excluding(found)).isEmpty)
  }

  @Test(arguments: 1...3) func slicesJoinToTheWhole(rankCount: Int) throws {
    let images = try ImageFolder(folder.path)
    let joined = (0..<rankCount).flatMap { rank in
      let range = ShardedSampler.share(of: images.samples.count, rank: rank, rankCount: rankCount)
      return DatasetCheck.decode(DatasetCheck.encode(DatasetCheck.verify(images, samples: Array(range))))!
    }
    #expect(joined == DatasetCheck.verify(images))
    #expect(DatasetCheck.decode([1, 2, 3]) == nil)
  }

  /// What is not there as it was listed is another fault than a bad image, and names the host.
  @Test func filesOfAnotherHostAreReported() throws {
    let images = try ImageFolder(folder.path)
    folder.remove("images/b/010.png")
    folder.write("images/b/011.png", folder.read("images/b/011.png") + [0])
    try FileManager.default.createSymbolicLink(
      atPath: folder.path + "/images/b/021.png", withDestinationPath: "/nowhere")
    let found = DatasetCheck.verify(images).filter { $0.host != nil }
    #expect(found.map(\.path) == ["images/b/010.png", "images/b/011.png"])
    #expect(found.allSatisfy { $0.host == SystemFiles().host })
    #expect(found[0].reason.contains("No such file") && found[0].reason.contains("bytes"))
    let length = images.samples.first { $0.path == "images/b/011.png" }!.fileBytes
    #expect(
      found[1].reason.contains("\(length + 1) bytes in ") && found[1].reason.contains("with \(length) bytes"))
    let error = DatasetError.otherFiles(found)
    #expect(error.exitCode == 65 && error.badImages == found)
    #expect(error.description.contains("images/b/010.png on host \(SystemFiles().host): "))
    // A link to nowhere is listed as one, and a bad image.
    let linked = DatasetCheck.verify(try ImageFolder(folder.path)).first { $0.path == "images/b/021.png" }
    #expect(linked?.host == nil && linked?.reason.contains("No such file") == true)
  }

  @Test func aFewLooksTellAnotherDataSet() throws {
    let images = try ImageFolder(folder.path)
    #expect(DatasetCheck.spotCheck(images).isEmpty)
    #expect(DatasetCheck.spotCheck(images, count: 1000).isEmpty)
    folder.remove("images/a")
    let found = DatasetCheck.spotCheck(images)
    #expect(
      found.count > 4 && found.count <= 16
        && found.allSatisfy { $0.host != nil && $0.path.hasPrefix("images/a/") })
    #expect(found.allSatisfy { $0.reason.contains("no such file") })
  }

  @Test func theErrorListsTwentyAndCountsAll() throws {
    try DatasetCheck.requireNone([])
    let images = (1...23).map { BadImage(path: "images/a/\($0).jpg", reason: "cause \($0)") }
    let error = try #require(datasetError { try DatasetCheck.requireNone(images) })
    #expect(error.exitCode == 65 && error.badImages == images)
    #expect(error.description.contains("23 unusable images") && error.description.contains("cause 20\n"))
    #expect(!error.description.contains("cause 21") && error.description.contains("and 3 more"))
  }
}
