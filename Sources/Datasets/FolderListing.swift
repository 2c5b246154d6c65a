import CXXHash
import Foundation

/// A folder, listed: its names, the length and time of every file, and what the annotations say.
struct FolderListing {
  let directory: String
  let files: any DataFiles
  /// See `FolderContents.prefix`.
  let prefix: String
  private(set) var categories: [String] = []
  private(set) var samples: [Sample] = []
  /// When the content of each sample's file changed last, in nanoseconds since 1970.
  private(set) var modified: [Int64] = []
  private(set) var ignoredFiles: [String] = []
  private(set) var annotationsHash: UInt64 = 0

  /// Asks the system about every file. Throws `DatasetError` as `ImageFolder.init` does.
  init(_ directory: String, _ files: any DataFiles, _ contents: FolderContents) throws(DatasetError) {
    self.directory = directory
    self.files = files
    prefix = contents.prefix
    var annotations: [UInt8] = []
    if contents.hasAnnotations {
      try files.read(directory + "/" + FolderContents.annotationsName, into: &annotations)
      annotationsHash = annotations.withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count) }
    }
    let paths = try choose(contents)
    try makeSamples(paths, try parse(annotations, paths))
  }

  /// Sets categories and what is ignored; returns the images' paths of each category in the order of their names.
  private mutating func choose(_ contents: FolderContents) throws(DatasetError) -> [[String]] {
    var images: [String: [String]] = [:]
    var ignored = contents.strays
    for (name, entries) in contents.classes {
      let entries = entries.filter { !$0.hasPrefix(".") }
      let found = entries.filter(hasImageName)
      ignored += entries.filter { !hasImageName($0) }.map { prefix + name + "/" + $0 }
      if found.isEmpty { ignored.append(prefix + name) } else { images[name] = found.sorted() }
    }
    ignoredFiles = ignored.sorted()
    guard !images.isEmpty else { throw .noImages(path: directory, ignoredFileCount: ignored.count) }
    let negative = ImageFolder.negativeName
    categories =
      images.keys.filter { $0 != negative }.sorted() + (images[negative] == nil ? [] : [negative])
    guard categories.count > 1 else {
      throw .tooFewClasses(path: directory, found: categories, needed: "at least two")
    }
    return categories.map { name in images[name]!.map { prefix + name + "/" + $0 } }
  }

  /// The lines of annotations.jsonl by image path.
  private func parse(_ bytes: [UInt8], _ paths: [[String]]) throws(DatasetError) -> [String: ImageAnnotation]
  {
    if bytes.isEmpty { return [:] }
    let path = directory + "/" + FolderContents.annotationsName
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
        throw bad(Self.explain(error))
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

  private mutating func makeSamples(
    _ paths: [[String]], _ annotations: [String: ImageAnnotation]
  ) throws(DatasetError) {
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
            path: directory + "/" + FolderContents.annotationsName, line: nil,
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
        // A link to nowhere is found when it is read.
        let status = try files.status(directory + "/" + path)
        modified.append(status?.modified ?? 0)
        samples.append(
          Sample(
            path: path, category: category, split: split, group: annotation?.group,
            parts: annotation?.parts ?? [], width: annotation?.width, height: annotation?.height,
            fileBytes: status?.bytes ?? 0))
      }
    }
    guard dividedGroups.isEmpty else {
      throw .splitGroups(path: directory + "/" + FolderContents.annotationsName, groups: dividedGroups)
    }
  }
}

private func hasImageName(_ name: String) -> Bool {
  let lower = name.lowercased()
  return [".jpg", ".jpeg", ".png"].contains { lower.hasSuffix($0) && lower.count > $0.count }
}
