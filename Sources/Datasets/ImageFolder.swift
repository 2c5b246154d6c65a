import CXXHash
import Foundation

/// What an image is for.
public enum Split: String, Codable, Sendable {
  /// Learned from.
  case training = "train"
  /// Measured on, never learned from.
  case validation = "val"
}

/// One image of a data set.
public struct Sample: Sendable, Equatable {
  /// Path relative to the data set's folder.
  public let path: String
  /// Index into `ImageFolder.categories`.
  public let category: Int
  /// Training or validation.
  public let split: Split
  /// Images of one group show the same thing (a source photograph); a group never has images in both splits.
  public let group: String?
  /// Annotated parts, empty if there are none; the same part may occur twice.
  public let parts: [PartAnnotation]
  /// Extent of the stored image in pixels, where the annotations say it.
  public let width: Int?, height: Int?
  /// Length of the file; 0 for a link to nowhere.
  public internal(set) var fileBytes: Int
}

extension Sample {
  /// Everything but category and folder; the file's name begins at byte `nameFrom` of the path.
  fileprivate func encode(to writer: inout ByteWriter, nameFrom: Int) {
    let name = path.utf8.dropFirst(nameFrom)
    writer.write(String(decoding: name, as: UTF8.self))
    writer.write(fileBytes)
    let isAnnotated = group != nil || !parts.isEmpty || width != nil || height != nil
    // Most images have nothing but a name and a length.
    writer.write((split == .training ? 0 : 1) + (isAnnotated ? 2 : 0))
    guard isAnnotated else { return }
    writer.write([width, height].map { $0.map { "\($0)" } ?? "" }.joined(separator: "x"))
    writer.write(group == nil ? 0 : 1)
    if let group { writer.write(group) }
    writer.write(parts.count)
    for part in parts { part.encode(to: &writer) }
  }

  fileprivate init(
    from reader: inout ByteReader, folder: String, category: Int
  ) throws(ByteReader.Malformed) {
    let name = try reader.readText()
    // Nothing outside of the data set.
    guard !name.isEmpty, !name.hasPrefix("."), !name.contains("/") else { throw ByteReader.Malformed() }
    let fileBytes = try reader.readInt()
    let flags = try reader.readNumber()
    guard flags < 4 else { throw ByteReader.Malformed() }
    var extent: [Int?] = [nil, nil]
    var group: String?
    var parts: [PartAnnotation] = []
    if flags & 2 != 0 {
      extent = try reader.readText().split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
      guard extent.count == 2 else { throw ByteReader.Malformed() }
      if try reader.readNumber() != 0 { group = try reader.readText() }
      for _ in 0..<(try reader.readCount()) { parts.append(try PartAnnotation(from: &reader)) }
    }
    self.init(
      path: folder + name, category: category, split: flags & 1 == 0 ? .training : .validation, group: group,
      parts: parts, width: extent[0], height: extent[1], fileBytes: fileBytes)
  }
}

/// A data set in the plain layout: `DIR/images/CLASS/FILE`, or `DIR/CLASS/FILE` when there is no `images`.
///
/// FILE ends in .jpg, .jpeg or .png, in any case. The class `negative` holds counter-examples. An optional
/// `DIR/annotations.jsonl` gives splits, groups and parts. In a class without any annotated split every tenth file
/// in name order is validation, and at least one where there are two files; a group follows its first image.
/// Nothing here opens an image: see `DatasetCheck`.
public final class ImageFolder: Sendable {
  /// Name of the class of counter-examples.
  public static let negativeName = "negative"

  /// The folder, as it was given.
  public let directory: String
  /// Classes in the order of their names, `negative` last if there is one.
  public let categories: [String]
  /// All images, ordered by category, then by file name.
  public let samples: [Sample]
  /// Files and folders where images were expected that have no image's name, relative to the data set.
  public let ignoredFiles: [String]
  /// xxh3-64 over paths, lengths and annotations: equal on all ranks that see the same data set. The images' bytes
  /// are not read.
  public let fingerprint: UInt64
  private let annotationsHash: UInt64
  /// Where the classes lie, within the folder: "images/" or "".
  private let prefix: String
  /// How this process reaches them.
  let files: any DataFiles

  /// Index of the class of counter-examples in `categories`, if there is one.
  public var negativeCategory: Int? { categories.last == Self.negativeName ? categories.count - 1 : nil }

  /// Lists the folder and reads its annotations. Throws `DatasetError` if there is nothing to learn from: no folder,
  /// no images, one class, annotations that are malformed, name missing files or split a group.
  public convenience init(_ directory: String) throws(DatasetError) {
    let files = SystemFiles()
    self.init(try FolderListing(directory, files, try FolderContents(directory, files)))
  }

  /// A data set in memory: files by path (`images/CLASS/FILE`) and the text of annotations.jsonl. `name` stands in
  /// messages where otherwise the folder would.
  public convenience init(
    named name: String, files: [String: [UInt8]], annotations: [UInt8]? = nil
  ) throws(DatasetError) {
    var all = files
    all[FolderContents.annotationsName] = annotations
    let files = FilesInMemory(root: name, files: all)
    self.init(try FolderListing(name, files, try FolderContents(name, files)))
  }

  /// The data set that was listed.
  convenience init(_ listing: FolderListing) {
    self.init(
      listing.directory, listing.files, prefix: listing.prefix, categories: listing.categories,
      ignoredFiles: listing.ignoredFiles, annotationsHash: listing.annotationsHash, samples: listing.samples)
  }

  private init(
    _ directory: String, _ files: any DataFiles, prefix: String, categories: [String], ignoredFiles: [String],
    annotationsHash: UInt64, samples: [Sample]
  ) {
    self.directory = directory
    self.files = files
    self.prefix = prefix
    self.categories = categories
    self.ignoredFiles = ignoredFiles
    self.annotationsHash = annotationsHash
    self.samples = samples
    fingerprint = Self.fingerprint(samples, annotationsHash)
  }

  private convenience init(_ folder: ImageFolder, samples: [Sample]) {
    self.init(
      folder.directory, folder.files, prefix: folder.prefix, categories: folder.categories,
      ignoredFiles: folder.ignoredFiles, annotationsHash: folder.annotationsHash, samples: samples)
  }

  /// The same data set without these files. Splits and category indices stay as they were; the fingerprint changes.
  public func excluding(_ images: [BadImage]) -> ImageFolder {
    let excluded = Set(images.map(\.path))
    return excluded.isEmpty
      ? self : ImageFolder(self, samples: samples.filter { !excluded.contains($0.path) })
  }

  /// Replaces `bytes` by the content of a file of the data set, named by its relative path (an image or a mask).
  /// Throws `DatasetError.unreadable`.
  public func read(_ path: String, into bytes: inout [UInt8]) throws(DatasetError) {
    try files.read(directory + "/" + path, into: &bytes)
  }

  /// The same data set with other lengths of these files, by index into `samples`.
  func replacing(fileBytes: [Int: Int]) -> ImageFolder {
    if fileBytes.isEmpty { return self }
    var samples = samples
    for (index, bytes) in fileBytes { samples[index].fileBytes = bytes }
    return ImageFolder(self, samples: samples)
  }

  /// A sample whose file is not, on this host, the one that was listed.
  func differing(_ sample: Sample, _ reason: String) -> BadImage {
    BadImage(
      path: sample.path, reason: "\(reason) in \(directory), listed with \(sample.fileBytes) bytes",
      host: files.host)
  }

  /// One of another length.
  func differing(_ sample: Sample, foundBytes: Int) -> BadImage {
    differing(sample, "\(foundBytes) bytes")
  }

  /// Number of images of each category in a split, in the order of `categories`.
  public func counts(_ split: Split) -> [Int] {
    var counts = [Int](repeating: 0, count: categories.count)
    for sample in samples where sample.split == split { counts[sample.category] += 1 }
    return counts
  }

  private static func fingerprint(_ samples: [Sample], _ annotationsHash: UInt64) -> UInt64 {
    var bytes: [UInt8] = []
    for sample in samples {
      bytes.append(contentsOf: sample.path.utf8)
      bytes.append(0)
      bytes.append(contentsOf: String(sample.fileBytes).utf8)
      bytes.append(UInt8(ascii: "\n"))
    }
    return bytes.withUnsafeBytes { XXH3_64bits_withSeed($0.baseAddress, $0.count, annotationsHash) }
  }

  // MARK: - Bytes for other ranks and for the index

  /// Everything but the folder's own path, which is another one on each host.
  func encode(to writer: inout ByteWriter) {
    writer.write(annotationsHash)
    writer.write(ignoredFiles.count)
    for name in ignoredFiles { writer.write(name) }
    writer.write(prefix)
    writer.write(categories.count)
    var position = 0
    for (category, name) in categories.enumerated() {
      let end = samples[position...].firstIndex { $0.category != category } ?? samples.endIndex
      writer.write(name)
      writer.write(end - position)
      for sample in samples[position..<end] {
        sample.encode(to: &writer, nameFrom: prefix.utf8.count + name.utf8.count + 1)
      }
      position = end
    }
  }

  /// Reads what `encode` has written, for the data set at `directory`.
  convenience init(
    from reader: inout ByteReader, _ directory: String, _ files: any DataFiles
  ) throws(ByteReader.Malformed) {
    let annotationsHash = try reader.readNumber()
    var ignoredFiles: [String] = []
    for _ in 0..<(try reader.readCount()) { ignoredFiles.append(try reader.readText()) }
    let prefix = try reader.readText()
    var categories: [String] = []
    var samples: [Sample] = []
    for category in 0..<(try reader.readCount()) {
      let name = try reader.readText()
      categories.append(name)
      let folder = prefix + name + "/"
      for _ in 0..<(try reader.readCount()) {
        samples.append(try Sample(from: &reader, folder: folder, category: category))
      }
    }
    self.init(
      directory, files, prefix: prefix, categories: categories, ignoredFiles: ignoredFiles,
      annotationsHash: annotationsHash, samples: samples)
  }
}
