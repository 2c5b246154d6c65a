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
  /// Length of the file.
  public let fileBytes: Int
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
  /// Files by path, when the data set lies in memory.
  private let memory: [String: [UInt8]]?

  /// Index of the class of counter-examples in `categories`, if there is one.
  public var negativeCategory: Int? { categories.last == Self.negativeName ? categories.count - 1 : nil }

  /// Lists the folder and reads its annotations. Throws `DatasetError` if there is nothing to learn from: no folder,
  /// no images, one class, annotations that are malformed, name missing files or split a group.
  public convenience init(_ directory: String) throws(DatasetError) {
    guard isFolder(directory) else { throw .missingFolder(path: directory) }
    let prefix = isFolder(directory + "/images") ? "images/" : ""
    var entries: [String: [String]] = [:]
    var ignored: [String] = []
    for name in try listFolder(directory + "/" + prefix) where !name.hasPrefix(".") {
      if isFolder(directory + "/" + prefix + name) {
        entries[name] = try listFolder(directory + "/" + prefix + name)
      } else if prefix + name != "annotations.jsonl" {
        ignored.append(prefix + name)
      }
    }
    var annotations: [UInt8]?
    if access(directory + "/annotations.jsonl", F_OK) == 0 {
      var bytes: [UInt8] = []
      try readFile(directory + "/annotations.jsonl", into: &bytes)
      annotations = bytes
    }
    try self.init(directory, prefix, entries, ignored, annotations, memory: nil)
  }

  /// A data set in memory: files by path (`images/CLASS/FILE`) and the text of annotations.jsonl. `name` stands in
  /// messages where otherwise the folder would.
  public convenience init(
    named name: String, files: [String: [UInt8]], annotations: [UInt8]? = nil
  ) throws(DatasetError) {
    var entries: [String: [String]] = [:]
    for path in files.keys {
      let parts = path.split(separator: "/")
      if parts.count == 3 && parts[0] == "images" {
        entries[String(parts[1]), default: []].append(String(parts[2]))
      }
    }
    try self.init(name, "images/", entries, [], annotations, memory: files)
  }

  private init(
    _ directory: String, _ prefix: String, _ entries: [String: [String]], _ ignored: [String],
    _ annotations: [UInt8]?, memory: [String: [UInt8]]?
  ) throws(DatasetError) {
    self.directory = directory
    self.memory = memory
    var files: [String: [String]] = [:]
    var ignored = ignored
    for (name, entries) in entries {
      let entries = entries.filter { !$0.hasPrefix(".") }
      let images = entries.filter(hasImageName)
      ignored += entries.filter { !hasImageName($0) }.map { prefix + name + "/" + $0 }
      if images.isEmpty { ignored.append(prefix + name) } else { files[name] = images.sorted() }
    }
    ignoredFiles = ignored.sorted()
    guard !files.isEmpty else { throw .noImages(path: directory, ignoredFileCount: ignored.count) }
    categories =
      files.keys.filter { $0 != Self.negativeName }.sorted()
      + (files[Self.negativeName] == nil ? [] : [Self.negativeName])
    guard categories.count > 1 else {
      throw .tooFewClasses(path: directory, found: categories, needed: "at least two")
    }
    let paths = categories.map { name in files[name]!.map { prefix + name + "/" + $0 } }
    annotationsHash = annotations.map { $0.withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count) } } ?? 0
    samples = try Self.makeSamples(
      directory, categories: categories, paths: paths,
      annotations: try Self.parse(annotations ?? [], directory, categories: categories, paths: paths)
    ) { path throws(DatasetError) in
      if let memory { memory[path]!.count } else { try fileBytes(directory + "/" + path) }
    }
    fingerprint = Self.fingerprint(samples, annotationsHash)
  }

  private init(_ folder: ImageFolder, samples: [Sample]) {
    directory = folder.directory
    categories = folder.categories
    ignoredFiles = folder.ignoredFiles
    annotationsHash = folder.annotationsHash
    memory = folder.memory
    self.samples = samples
    fingerprint = Self.fingerprint(samples, annotationsHash)
  }

  /// The same data set without these files. Splits and category indices stay as they were; the fingerprint changes.
  public func excluding(_ images: [BadImage]) -> ImageFolder {
    let excluded = Set(images.map(\.path))
    return ImageFolder(self, samples: samples.filter { !excluded.contains($0.path) })
  }

  /// Replaces `bytes` by the content of a file of the data set, named by its relative path (an image or a mask).
  /// Throws `DatasetError.unreadable`.
  public func read(_ path: String, into bytes: inout [UInt8]) throws(DatasetError) {
    guard let memory else { return try readFile(directory + "/" + path, into: &bytes) }
    guard let file = memory[path] else {
      throw .unreadable(path: directory + "/" + path, reason: "no such file in memory")
    }
    bytes = file
  }

  /// Number of images of each category in a split, in the order of `categories`.
  public func counts(_ split: Split) -> [Int] {
    var counts = [Int](repeating: 0, count: categories.count)
    for sample in samples where sample.split == split { counts[sample.category] += 1 }
    return counts
  }

  // MARK: - Reading

  /// The lines of annotations.jsonl by image path.
  private static func parse(
    _ bytes: [UInt8], _ directory: String, categories: [String], paths: [[String]]
  ) throws(DatasetError) -> [String: ImageAnnotation] {
    let path = directory + "/annotations.jsonl"
    var categoryOfPath: [String: String] = [:]
    for (category, list) in zip(categories, paths) {
      for path in list { categoryOfPath[path] = category }
    }
    var annotations: [String: ImageAnnotation] = [:]
    let decoder = JSONDecoder()
    for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
      .enumerated()
    {
      if line.allSatisfy({ $0 == 0x20 || $0 == 0x0d || $0 == 0x09 }) { continue }
      func bad(_ reason: String) -> DatasetError {
        .badAnnotation(path: path, line: index + 1, reason: reason)
      }
      let annotation: ImageAnnotation
      do {
        annotation = try decoder.decode(ImageAnnotation.self, from: Data(line))
      } catch let error as DecodingError {
        throw bad(explain(error))
      } catch {
        throw bad("\(error)")
      }
      guard let category = categoryOfPath[annotation.image] else {
        throw bad("no such image: \(annotation.image)")
      }
      guard annotation.category == nil || annotation.category == category else {
        throw bad("category \(annotation.category!), but the image lies in the folder \(category)")
      }
      guard annotations.updateValue(annotation, forKey: annotation.image) == nil else {
        throw bad("a second line for \(annotation.image)")
      }
    }
    return annotations
  }

  private static func explain(_ error: DecodingError) -> String {
    func field(_ context: DecodingError.Context) -> String {
      let name = context.codingPath.map(\.stringValue).joined(separator: ".")
      return name.isEmpty ? "the line" : "\"\(name)\""
    }
    return switch error {
    case .keyNotFound(let key, _): "\"\(key.stringValue)\" is missing"
    case .typeMismatch(let type, let context): "\(field(context)) is not of type \(type)"
    case .valueNotFound(_, let context): "\(field(context)) has no value"
    case .dataCorrupted(let context):
      context.codingPath.isEmpty ? "not a JSON object" : "\(field(context)): \(context.debugDescription)"
    @unknown default: "\(error)"
    }
  }

  private static func makeSamples(
    _ directory: String, categories: [String], paths: [[String]], annotations: [String: ImageAnnotation],
    fileBytes: (String) throws(DatasetError) -> Int
  ) throws(DatasetError) -> [Sample] {
    var samples: [Sample] = []
    var groupSplits: [String: Split] = [:]
    var dividedGroups: [String] = []
    for (category, list) in paths.enumerated() {
      let hasSplits = list.contains { annotations[$0]?.split != nil }
      for (index, path) in list.enumerated() {
        let annotation = annotations[path]
        var split: Split
        if let given = annotation?.split {
          split = given
        } else if hasSplits {
          throw .badAnnotation(
            path: directory + "/annotations.jsonl", line: nil,
            reason: "no split for \(path), while other images of \(categories[category]) have one")
        } else {
          let isTenth = index % 10 == 9 || (list.count > 1 && list.count < 10 && index == list.count - 1)
          split = isTenth ? .validation : .training
        }
        if let group = annotation?.group {
          if let first = groupSplits[group], first != split {
            if annotation?.split == nil {
              split = first
            } else if dividedGroups.last != group {
              dividedGroups.append(group)
            }
          } else {
            groupSplits[group] = split
          }
        }
        samples.append(
          Sample(
            path: path, category: category, split: split, group: annotation?.group,
            parts: annotation?.parts ?? [], width: annotation?.width, height: annotation?.height,
            fileBytes: try fileBytes(path)))
      }
    }
    guard dividedGroups.isEmpty else {
      throw .splitGroups(path: directory + "/annotations.jsonl", groups: dividedGroups)
    }
    return samples
  }

  private static func fingerprint(_ samples: [Sample], _ annotationsHash: UInt64) -> UInt64 {
    var bytes: [UInt8] = []
    for sample in samples { bytes += Array("\(sample.path)\u{0}\(sample.fileBytes)\n".utf8) }
    return bytes.withUnsafeBytes { XXH3_64bits_withSeed($0.baseAddress, $0.count, annotationsHash) }
  }
}

private func hasImageName(_ name: String) -> Bool {
  let lower = name.lowercased()
  return [".jpg", ".jpeg", ".png"].contains { lower.hasSuffix($0) && lower.count > $0.count }
}
