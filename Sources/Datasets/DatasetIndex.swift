import CXXHash
import Glibc

/// A data set's listing in a file, so that a start need not ask about every image again.
///
/// The file holds the list with lengths and times, which images have been decoded once, and the means that were measured.
/// It is used as long as the folder's `FolderContents.stamp` is the one that it was made from, and made anew otherwise, as it
/// is when it is damaged or of another version; what is known of files with the same length and time is kept then. It lies
/// beside the data as `.icnn-index`, or, where that cannot be written, in `$XDG_CACHE_HOME/icnn` (`~/.cache/icnn`).
package struct DatasetIndex {
  /// What other ranks are told.
  package private(set) var listing: DatasetListing
  private let stamp: UInt64
  /// When each sample's file changed last, in nanoseconds since 1970.
  private var modified: [Int64]
  /// Newest first.
  private var measured: [(key: UInt64, preprocessing: Preprocessing)]
  private let places: [String]
  private var isSaved: Bool

  /// Means that are kept: of as many tasks and image sizes.
  private static let measuredLimit = 4
  /// The last is the version of the format.
  private static let magic = Array("ICNNIDX1".utf8)

  /// Lists the data set at `directory`, with the help of its index if there is one that fits.
  ///
  /// - Parameters:
  ///   - rebuild: ask about every file anew, and decode each again.
  ///   - places: paths of the index, the preferred first.
  /// - Throws: `DatasetError` as `ImageFolder.init` does. That an index cannot be read is no error.
  package static func open(
    _ directory: String, _ files: any DataFiles, rebuild: Bool = false, places: [String]? = nil
  ) throws(DatasetError) -> DatasetIndex {
    let places = places ?? Self.places(directory)
    let contents = try FolderContents(directory, files)
    let found = rebuild ? [] : places.compactMap { try? DatasetIndex(reading: $0, directory, files, places) }
    if var index = found.first(where: { $0.stamp == contents.stamp }) {
      try index.refresh()
      return index
    }
    return DatasetIndex(try FolderListing(directory, files, contents), contents.stamp, found.first, places)
  }

  /// Where an index of `directory` may lie: beside the data, and in the user's cache.
  static func places(_ directory: String) -> [String] {
    var places = [directory + "/.icnn-index"]
    func variable(_ name: String) -> String? {
      getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }
    if let cache = variable("XDG_CACHE_HOME") ?? variable("HOME").map({ $0 + "/.cache" }),
      let absolute = realpath(directory, nil)
    {
      let hash = XXH3_64bits(absolute, strlen(absolute))
      free(absolute)
      places.append(cache + "/icnn/index-" + String(hash, radix: 16))
    }
    return places
  }

  // MARK: - What is known

  /// A new list, with what an older index knows of files that are the same.
  private init(_ list: FolderListing, _ stamp: UInt64, _ older: DatasetIndex?, _ places: [String]) {
    self.stamp = stamp
    self.places = places
    modified = list.modified
    measured = []
    isSaved = false
    let folder = ImageFolder(list)
    var known: [String: Int] = [:]
    if let older {
      for (index, sample) in older.listing.folder.samples.enumerated() where older.listing.isChecked[index] {
        known[sample.path] = index
      }
      // Their keys hold the fingerprint of what they were measured on.
      measured = older.measured
    }
    let isChecked = folder.samples.enumerated().map { index, sample in
      guard let older, let other = known[sample.path] else { return false }
      let before = older.listing.folder.samples[other]
      return before.fileBytes == sample.fileBytes && older.modified[other] == list.modified[index]
        && sample.width ?? before.width == before.width && sample.height ?? before.height == before.height
    }
    listing = DatasetListing(folder, isChecked: isChecked)
  }

  /// Asks again about the images that have not been decoded: bad ones are mended in their place.
  private mutating func refresh() throws(DatasetError) {
    let folder = listing.folder
    var fileBytes: [Int: Int] = [:]
    for index in listing.unchecked {
      let status = try folder.files.status(folder.directory + "/" + folder.samples[index].path)
      let bytes = status?.bytes ?? 0, time = status?.modified ?? 0
      if bytes != folder.samples[index].fileBytes { fileBytes[index] = bytes }
      if bytes != folder.samples[index].fileBytes || time != modified[index] { isSaved = false }
      modified[index] = time
    }
    listing = DatasetListing(folder.replacing(fileBytes: fileBytes), isChecked: listing.isChecked)
  }

  /// Notes that all images but these have been decoded.
  package mutating func setChecked(except bad: [BadImage]) {
    let before = listing.isChecked
    listing.setChecked(except: bad)
    if listing.isChecked != before { isSaved = false }
  }

  /// A mean that was measured before.
  package func preprocessing(_ key: UInt64) -> Preprocessing? {
    measured.first { $0.key == key }?.preprocessing
  }

  /// Keeps a mean.
  package mutating func keep(_ preprocessing: Preprocessing, _ key: UInt64) {
    measured = Array(([(key, preprocessing)] + measured.filter { $0.key != key }).prefix(Self.measuredLimit))
    isSaved = false
  }

  /// The key of a mean: what it depends on. `folder` without the images that are left out.
  package static func key(
    _ folder: ImageFolder, _ task: LearningTask, _ augmentation: Augmentation, imageSize: Int,
    meanKind: Preprocessing.MeanKind
  ) -> UInt64 {
    let window = augmentation.centered(imageSize: imageSize)
    let text =
      "\(folder.fingerprint) \(task.kind) \(imageSize) \(augmentation.resizedSide(imageSize: imageSize)) "
      + "\(window.x) \(window.y) \(meanKind)"
    return Array(text.utf8).withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count) }
  }

  // MARK: - The file

  /// Writes the index, if it holds anything new, beside what is there and in its place at once.
  ///
  /// - Returns: false if it can be written nowhere; the next start then lists all files.
  @discardableResult
  package mutating func save() -> Bool {
    if isSaved { return true }
    let bytes = encoded()
    isSaved = places.contains { Self.write(bytes, to: $0) }
    return isSaved
  }

  private static func write(_ bytes: [UInt8], to path: String) -> Bool {
    if let slash = path.lastIndex(of: "/") { try? makeFolder(String(path[..<slash])) }
    let partial = path + ".\(SystemFiles().host).\(getpid())"
    guard (try? writeFile(partial, bytes)) != nil, rename(partial, path) == 0 else {
      unlink(partial)
      return false
    }
    return true
  }

  /// Magic, xxh3-64 of what follows; stamp, list, times, means.
  private func encoded() -> [UInt8] {
    var payload = ByteWriter()
    payload.writeFixed(stamp)
    listing.encode(to: &payload)
    for time in modified { payload.write(UInt64(bitPattern: time)) }
    payload.write(measured.count)
    for (key, preprocessing) in measured {
      payload.writeFixed(key)
      payload.write(preprocessing.imageSize)
      payload.write(preprocessing.meanKind.rawValue)
      payload.write(preprocessing.mean)
      payload.write(preprocessing.scale)
    }
    var head = ByteWriter()
    head.writeFixed(payload.bytes.withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count) })
    return Self.magic + head.bytes + payload.bytes
  }

  private init(
    reading path: String, _ directory: String, _ files: any DataFiles, _ places: [String]
  ) throws {
    var bytes: [UInt8] = []
    try readFile(path, into: &bytes)
    guard bytes.starts(with: Self.magic) else { throw ByteReader.Malformed() }
    var reader = ByteReader(bytes, from: Self.magic.count)
    let checksum = try reader.readFixed(), start = Self.magic.count + 8
    guard
      bytes.withUnsafeBytes({ XXH3_64bits($0.baseAddress! + start, $0.count - start) }) == checksum
    else { throw ByteReader.Malformed() }
    stamp = try reader.readFixed()
    listing = try DatasetListing(from: &reader, directory, files)
    modified = []
    for _ in listing.isChecked { modified.append(Int64(bitPattern: try reader.readNumber())) }
    measured = []
    for _ in 0..<(try reader.readCount()) {
      measured.append((try reader.readFixed(), try Preprocessing(from: &reader)))
    }
    guard reader.isAtEnd else { throw ByteReader.Malformed() }
    self.places = places
    isSaved = true
  }
}

extension Preprocessing {
  fileprivate init(from reader: inout ByteReader) throws(ByteReader.Malformed) {
    let imageSize = try reader.readInt()
    guard let meanKind = MeanKind(rawValue: try reader.readText()), (1...4096).contains(imageSize) else {
      throw ByteReader.Malformed()
    }
    let mean = try reader.readFloats(), scale = try reader.readFloats()
    guard mean.count == (meanKind == .pixel ? imageSize * imageSize * 3 : 3), scale.count == 3 else {
      throw ByteReader.Malformed()
    }
    self.init(imageSize: imageSize, meanKind: meanKind, mean: mean, scale: scale)
  }
}
