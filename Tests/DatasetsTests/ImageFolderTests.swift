import Foundation
import Testing

@testable import Datasets

@Suite struct ImageFolderTests {
  let folder = TemporaryFolder()

  @Test(arguments: ["images/", ""]) func classesAndFilesInTheOrderOfTheirNames(prefix: String) throws {
    for name in [
      "negative/a.jpg", "zebra/2.PNG", "zebra/10.jpeg", "zebra/1.jpg", "ant/x.JPG", "ant/notes.txt",
    ] {
      folder.write(prefix + name, "x")
    }
    folder.write(prefix + "ant/.hidden.jpg", "x")
    folder.write(prefix + "empty/readme", "x")
    let images = try ImageFolder(folder.path)
    #expect(images.categories == ["ant", "zebra", "negative"])
    #expect(images.negativeCategory == 2)
    #expect(
      images.samples.map(\.path)
        == ["ant/x.JPG", "zebra/1.jpg", "zebra/10.jpeg", "zebra/2.PNG", "negative/a.jpg"].map { prefix + $0 })
    #expect(images.samples.map(\.category) == [0, 1, 1, 1, 2])
    #expect(images.ignoredFiles == ["ant/notes.txt", "empty", "empty/readme"].map { prefix + $0 })
  }

  @Test(arguments: [(1, []), (2, [2]), (9, [9]), (10, [10]), (19, [10]), (25, [10, 20])] as [(Int, [Int])])
  func everyTenthFileIsValidation(count: Int, expected: [Int]) throws {
    writeClasses(folder, [("a", count), ("b", 3)])
    let samples = try ImageFolder(folder.path).samples.filter { $0.category == 0 }
    let validation = samples.indices.filter { samples[$0].split == .validation }.map { $0 + 1 }
    #expect(validation == expected)
  }

  @Test func annotationsAreRead() throws {
    writeClasses(folder, [("a", 2), ("b", 2)])
    folder.write(
      "annotations.jsonl",
      """
      {"image":"images/a/001.png","split":"val","group":"g","width":10,"height":9,"other":[1],
      "parts":[{"part":"head","x":1.5,"y":2.5,"box":[-1,0,4,5]},{"part":"head","x":7,"y":8}]}

      {"image":"images/a/002.png","split":"train","category":"a"}

      """.replacingOccurrences(of: ",\n", with: ","))
    let samples = try ImageFolder(folder.path).samples
    #expect(samples[0].split == .validation && samples[1].split == .training)
    #expect(samples[0].group == "g" && samples[0].width == 10 && samples[0].height == 9)
    #expect(
      samples[0].parts == [
        PartAnnotation(part: "head", x: 1.5, y: 2.5, box: .init(x0: -1, y0: 0, x1: 4, y1: 5)),
        PartAnnotation(part: "head", x: 7, y: 8),
      ])
    #expect(samples[2].split == .training && samples[3].split == .validation)
  }

  @Test func groupsStayTogether() throws {
    writeClasses(folder, [("a", 10), ("b", 10)])
    func lines(_ splits: (String, String)) -> String {
      zip(["images/a/001.png", "images/a/010.png", "images/b/001.png", "images/b/010.png"], [0, 0, 1, 1]).map
      {
        path, group in
        let split = group == 1 ? "" : path.hasSuffix("001.png") ? splits.0 : splits.1
        return "{\"image\":\"\(path)\",\"group\":\"\(group)\"\(split)}"
      }.joined(separator: "\n")
    }
    // No splits: a group follows its first image, so the tenth files become training.
    folder.write("annotations.jsonl", lines(("", "")))
    #expect(try ImageFolder(folder.path).samples.allSatisfy { $0.split == .training })
  }

  @Test func aGroupInBothSplitsIsAnError() {
    writeClasses(folder, [("a", 2), ("b", 2)])
    folder.write(
      "annotations.jsonl",
      """
      {"image":"images/a/001.png","group":"twins","split":"train"}
      {"image":"images/a/002.png","group":"twins","split":"val"}
      """)
    let error = datasetError { _ = try ImageFolder(folder.path) }
    #expect(error == .splitGroups(path: folder.path + "/annotations.jsonl", groups: ["twins"]))
    #expect(error?.exitCode == 65)
  }

  @Test(arguments: [
    ("{\"image\":\"images/a/999.png\"}", "no such image: images/a/999.png"),
    ("{\"image\":\"images/a/001.png\",\"category\":\"b\"}", "category b"),
    ("{\"image\":\"images/a/001.png\",\"split\":\"test\"}", "\"split\""),
    ("{\"split\":\"val\"}", "\"image\" is missing"),
    ("{\"image\":\"images/a/001.png\"", "not a JSON object"),
    ("{\"image\":\"images/a/001.png\",\"parts\":[{\"part\":\"head\",\"x\":\"1\",\"y\":2}]}", "x"),
    (
      "{\"image\":\"images/a/001.png\",\"parts\":[{\"part\":\"head\",\"x\":1,\"y\":2,\"box\":[4,1,3,2]}]}",
      "box"
    ),
    ("{\"image\":\"images/a/001.png\",\"parts\":[{\"part\":\"head\",\"x\":1,\"y\":2,\"box\":[4,1]}]}", "box"),
    ("{\"image\":\"images/a/002.png\"}", "a second line"),
  ]) func malformedLinesAreNamed(line: String, expected: String) throws {
    writeClasses(folder, [("a", 2), ("b", 2)])
    folder.write("annotations.jsonl", "{\"image\":\"images/a/002.png\"}\r\n\n" + line + "\n")
    let error = datasetError { _ = try ImageFolder(folder.path) }
    guard case .badAnnotation(_, let number, let reason) = try #require(error) else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(number == 3 && reason.contains(expected), "\(reason)")
    #expect(error?.exitCode == 65 && error!.description.contains("line 3"))
  }

  @Test func splitsOfAClassAreGivenForAllOrNone() {
    writeClasses(folder, [("a", 2), ("b", 2)])
    folder.write("annotations.jsonl", "{\"image\":\"images/a/001.png\",\"split\":\"val\"}")
    let error = datasetError { _ = try ImageFolder(folder.path) }
    #expect(error?.description.contains("no split for images/a/002.png") == true)
  }

  @Test func nothingToLearnFrom() {
    func error() -> DatasetError? { datasetError { _ = try ImageFolder(folder.path + "/set") } }
    #expect(error() == .missingFolder(path: folder.path + "/set"))
    #expect(error()?.exitCode == 66)
    folder.write("set/images/a/readme.txt", "x")
    #expect(error() == .noImages(path: folder.path + "/set", ignoredFileCount: 2))
    #expect(error()?.exitCode == 66)
    folder.write("set/images/a/1.jpg", "x")
    #expect(error() == .tooFewClasses(path: folder.path + "/set", found: ["a"], needed: "at least two"))
    #expect(error()?.exitCode == 65)
    folder.write("set/images/b/1.jpg", "x")
    #expect(error() == nil)
  }

  @Test func fingerprintFollowsPathsLengthsAndAnnotations() throws {
    writeClasses(folder, [("a", 3), ("b", 3)])
    func fingerprint() throws -> UInt64 { try ImageFolder(folder.path).fingerprint }
    var seen = [try fingerprint()]
    #expect(try fingerprint() == seen[0])
    let copy = TemporaryFolder()
    writeClasses(copy, [("a", 3), ("b", 3)])
    #expect(try ImageFolder(copy.path).fingerprint == seen[0])
    folder.write("images/a/004.png", folder.read("images/a/003.png"))
    seen.append(try fingerprint())
    folder.write("images/a/004.png", folder.read("images/a/003.png") + [0])
    seen.append(try fingerprint())
    folder.write("annotations.jsonl", "{\"image\":\"images/a/001.png\"}")
    seen.append(try fingerprint())
    folder.write("annotations.jsonl", "{\"image\":\"images/a/002.png\"}")
    seen.append(try fingerprint())
    let images = try ImageFolder(folder.path)
    seen.append(images.excluding([BadImage(path: "images/a/001.png", reason: "x")]).fingerprint)
    #expect(Set(seen).count == seen.count)
  }

  @Test func excludedImagesLeaveTheOthersAlone() throws {
    writeClasses(folder, [("a", 12), ("b", 3)])
    let images = try ImageFolder(folder.path)
    let rest = images.excluding([BadImage(path: "images/a/001.png", reason: "x")])
    #expect(rest.samples == Array(images.samples.dropFirst()))
    #expect(rest.counts(.training) == [10, 2] && rest.counts(.validation) == [1, 1])
  }

  @Test func foldersInMemory() throws {
    let image = PNGEncoder.encode(patternImage(width: 4, height: 4))
    let files = ["images/a/1.png": image, "images/b/1.png": image, "masks/b/1.png": image]
    let images = try ImageFolder(named: "memory", files: files)
    #expect(images.samples.map(\.path) == ["images/a/1.png", "images/b/1.png"])
    #expect(images.samples[0].fileBytes == image.count)
    var bytes: [UInt8] = []
    try images.read("masks/b/1.png", into: &bytes)
    #expect(bytes == image)
    #expect(datasetError { try images.read("masks/c/1.png", into: &bytes) }?.exitCode == 66)
  }
}
