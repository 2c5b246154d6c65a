import Foundation
import Testing

@testable import Datasets

@Suite struct DatasetListingTests {
  let folder = TemporaryFolder()

  /// Splits, groups, extents, parts with and without boxes and masks; images without annotations; the class of
  /// counter-examples; files that are ignored.
  private func listing(prefix: String = "images/") throws -> DatasetListing {
    writeClasses(folder, [("a b", 3), ("Ünder", 12), ("negative", 2)], prefix: prefix)
    folder.write(prefix + "a b/notes.txt", "x")
    folder.write(
      "annotations.jsonl",
      """
      {"image":"\(prefix)a b/001.png","split":"val","group":"g","width":10,"parts":[{"part":"head","x":1.5,"y":-2}]}
      {"image":"\(prefix)a b/002.png","split":"train","width":11,"height":9,"parts":[{"part":"leg","x":7,"y":8,"box":[-1,0,4.25,5],"mask":"masks/1.png"},{"part":"leg","x":1,"y":2}]}
      {"image":"\(prefix)a b/003.png","split":"train","height":9}
      """)
    let folder = try ImageFolder(folder.path)
    return DatasetListing(folder, isChecked: folder.samples.indices.map { $0 % 3 == 0 })
  }

  @Test(arguments: ["images/", ""]) func anotherRankSeesTheSame(prefix: String) throws {
    let listing = try listing(prefix: prefix)
    let files = SystemFiles()
    let told = try DatasetListing(listing.encoded(), "/elsewhere", files)
    #expect(told.folder.directory == "/elsewhere")
    #expect(told.folder.samples == listing.folder.samples && told.folder.samples.count == 17)
    #expect(told.folder.categories == ["a b", "Ünder", "negative"])
    #expect(told.folder.ignoredFiles == [prefix + "a b/notes.txt"])
    #expect(told.folder.fingerprint == listing.folder.fingerprint)
    #expect(told.isChecked == listing.isChecked && told.unchecked == listing.unchecked)
    let without = listing.folder.excluding([BadImage(path: prefix + "a b/002.png", reason: "")])
    #expect(
      try DatasetListing(
        DatasetListing(without, isChecked: without.samples.map { _ in true }).encoded(), folder.path, files
      ).folder.fingerprint == without.fingerprint)
  }

  @Test func bytesThatAreNoListAreRefused() throws {
    let bytes = try listing().encoded()
    let files = SystemFiles()
    for count in 0..<bytes.count {
      let error = datasetError { _ = try DatasetListing(Array(bytes.prefix(count)), "/set", files) }
      #expect(error == .badListing(path: "/set"))
    }
    // Of the same length, leading out of the data set.
    let text = String(decoding: bytes, as: UTF8.self)
    try #require(text.contains("001.png"))
    for name in ["../.png", "/01.png", ".01.png"] {
      var changed = bytes
      let place = try #require(Data(bytes).range(of: Data("001.png".utf8))).lowerBound
      changed.replaceSubrange(place..<place + 7, with: Array(name.utf8))
      #expect(throws: DatasetError.self) { try DatasetListing(changed, "/set", files) }
    }
  }
}
