import Foundation
import TestSupport
import Testing

@testable import Datasets

@Suite struct DatasetIndexTests {
  let folder = TemporaryFolder()
  let cache = TemporaryFolder()

  init() { writeClasses(folder, [("a", 30), ("b", 20)]) }

  private var places: [String] { [folder.path + "/.icnn-index", cache.path + "/deep/index"] }

  private func open(_ files: CountingFiles = CountingFiles(), rebuild: Bool = false) throws -> DatasetIndex {
    try DatasetIndex.open(folder.path, files, rebuild: rebuild, places: places)
  }

  /// As a start leaves it: all images decoded.
  private func checked() throws -> DatasetIndex {
    var index = try open()
    index.setChecked(except: DatasetCheck.verify(index.listing.folder))
    let isSaved = index.save()
    #expect(isSaved)
    return index
  }

  /// What a list without an index finds.
  private func expectTrue(
    _ index: DatasetIndex, unchecked: [String], _ location: SourceLocation = #_sourceLocation
  )
    throws
  {
    let fresh = try ImageFolder(folder.path), found = index.listing.folder
    #expect(found.samples == fresh.samples, sourceLocation: location)
    #expect(found.fingerprint == fresh.fingerprint, sourceLocation: location)
    #expect(index.listing.unchecked.map { found.samples[$0].path } == unchecked, sourceLocation: location)
  }

  @Test func aSecondStartAsksAboutNoImage() throws {
    let cold = CountingFiles(), warm = CountingFiles()
    var index = try open(cold)
    #expect(cold.counts == .init(statuses: 5 + 50, listings: 3, reads: 0))
    #expect(index.listing.unchecked.count == 50)
    index.setChecked(except: [])
    let isSaved = index.save()
    #expect(isSaved)
    let again = try open(warm)
    // The folder, images, two classes, annotations.
    #expect(warm.counts == .init(statuses: 5, listings: 3, reads: 0))
    try expectTrue(again, unchecked: [])
    let rebuilt = CountingFiles()
    #expect(try open(rebuilt, rebuild: true).listing.unchecked.count == 50)
    #expect(rebuilt.counts == cold.counts)
  }

  @Test func addedAndRemovedFilesAreNoticed() throws {
    _ = try checked()
    folder.write("images/b/021.png", folder.read("images/b/020.png"))
    try expectTrue(try open(), unchecked: ["images/b/021.png"])
    folder.remove("images/b/021.png")
    folder.remove("images/a/007.png")
    try expectTrue(try open(), unchecked: [])
    #expect(try open().listing.folder.samples.count == 49)
    writeClasses(folder, [("c", 2)])
    try expectTrue(try open(), unchecked: ["images/c/001.png", "images/c/002.png"])
  }

  @Test func replacedFilesAreNoticed() throws {
    _ = try checked()
    let bytes = folder.read("images/a/004.png")
    // Same length, another time: decoded again.
    folder.write("images/.new", bytes)
    rename(folder.path + "/images/.new", folder.path + "/images/a/004.png")
    try expectTrue(try open(), unchecked: ["images/a/004.png"])
    _ = try checked()
    usleep(20_000)
    folder.write("images/.new", bytes + [0])
    rename(folder.path + "/images/.new", folder.path + "/images/a/005.png")
    try expectTrue(try open(), unchecked: ["images/a/005.png"])
  }

  @Test func changedAnnotationsAreNoticed() throws {
    _ = try checked()
    folder.write("annotations.jsonl", "{\"image\":\"images/a/003.png\",\"group\":\"g\"}")
    try expectTrue(try open(), unchecked: [])
    #expect(try open().listing.folder.samples[2].group == "g")
    // What was decoded had no extent to be compared with.
    folder.write("annotations.jsonl", "{\"image\":\"images/a/003.png\",\"width\":500,\"height\":8}")
    try expectTrue(try open(), unchecked: ["images/a/003.png"])
    folder.remove("annotations.jsonl")
    try expectTrue(try open(), unchecked: [])
  }

  /// A bad image is looked at again at every start: it may have been mended in its place.
  @Test func badImagesAreLookedAtAgain() throws {
    let good = folder.read("images/b/002.png")
    folder.write("images/b/002.png", Array(good.prefix(20)))
    _ = try checked()
    try expectTrue(try open(), unchecked: ["images/b/002.png"])
    let file = FileHandle(forWritingAtPath: folder.path + "/images/b/002.png")
    file?.write(Data(good))
    try file?.close()
    try expectTrue(try open(), unchecked: ["images/b/002.png"])
    #expect(DatasetCheck.verify(try open().listing.folder).isEmpty)
  }

  @Test func aDamagedIndexIsMadeAnew() throws {
    _ = try checked()
    let bytes = folder.read(".icnn-index")
    for place in stride(from: 0, to: bytes.count, by: 37) {
      var damaged = bytes
      damaged[place] ^= 0x10
      folder.write(".icnn-index", damaged)
      let files = CountingFiles()
      let index = try open(files)
      #expect(index.listing.unchecked.count == 50 && files.counts.statuses == 55, "byte \(place)")
    }
    for count in [0, 7, 8, 16, 24, bytes.count / 2, bytes.count - 1] {
      folder.write(".icnn-index", Array(bytes.prefix(count)))
      #expect(try open().listing.unchecked.count == 50, "\(count) bytes")
    }
    folder.write(".icnn-index", bytes)
    try expectTrue(try open(), unchecked: [])
  }

  @Test func anotherPlaceIsFoundWhereTheFirstCannotBeWritten() throws {
    let nowhere = "/proc/none/index"
    var index = try DatasetIndex.open(folder.path, SystemFiles(), places: [nowhere, places[1]])
    index.setChecked(except: [])
    let isSaved = index.save()
    #expect(isSaved)
    let files = CountingFiles()
    let again = try DatasetIndex.open(folder.path, files, places: [nowhere, places[1]])
    #expect(again.listing.unchecked.isEmpty && files.counts.statuses == 5)
    var homeless = try DatasetIndex.open(folder.path, SystemFiles(), places: [nowhere])
    let isKept = homeless.save()
    #expect(!isKept && homeless.listing.folder.samples.count == 50)
    // Nothing half written is left.
    #expect(try FileManager.default.contentsOfDirectory(atPath: cache.path + "/deep") == ["index"])
  }

  @Test func placesAreBesideTheDataAndInTheCache() throws {
    let places = DatasetIndex.places(folder.path)
    #expect(places[0] == folder.path + "/.icnn-index")
    let home = ProcessInfo.processInfo.environment
    if let cache = home["XDG_CACHE_HOME"] ?? home["HOME"].map({ $0 + "/.cache" }) {
      #expect(places.count == 2 && places[1].hasPrefix(cache + "/icnn/index-"))
      #expect(DatasetIndex.places(cache).last != places[1])
    }
  }

  @Test func meansAreKeptByWhatTheyDependOn() throws {
    var index = try checked()
    let task = try LearningTask(.multiCategory, on: index.listing.folder)
    func key(_ size: Int, _ kind: Preprocessing.MeanKind = .pixel, margin: Float = 0) -> UInt64 {
      DatasetIndex.key(
        index.listing.folder, task, Augmentation(cropMargin: margin), imageSize: size, meanKind: kind)
    }
    func mean(_ size: Int) -> Preprocessing {
      Preprocessing(
        imageSize: size, meanKind: .pixel, mean: (0..<size * size * 3).map { Float($0) / 7 },
        scale: [1, 0.1, 3])
    }
    #expect(Set([key(4), key(5), key(4, .channel), key(4, margin: 0.5)]).count == 4)
    for size in 1...5 { index.keep(mean(size), key(size)) }
    let isSaved = index.save()
    #expect(isSaved)
    var again = try open()
    for size in 2...5 { #expect(again.preprocessing(key(size)) == mean(size)) }
    #expect(again.preprocessing(key(1)) == nil && again.preprocessing(key(6)) == nil)
    again.keep(mean(6), key(2))
    #expect(again.preprocessing(key(2)) == mean(6))
    // Another file, another fingerprint.
    folder.write("images/b/021.png", folder.read("images/b/020.png"))
    let changed = try open().listing.folder
    let other = DatasetIndex.key(
      changed, try LearningTask(.multiCategory, on: changed), Augmentation(), imageSize: 4, meanKind: .pixel)
    #expect(other != key(4))
  }
}
