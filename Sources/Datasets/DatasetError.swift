import MATFiles

/// A file that cannot be learned from, and why.
public struct BadImage: Codable, Sendable, Equatable {
  /// Path relative to the data set.
  public let path: String
  /// What is wrong with it, in words.
  public let reason: String
  /// The host on which the file is not the one that was listed; nil if it is, and bad.
  public let host: String?

  /// A file at `path`, relative to the data set, that is unusable for `reason`.
  public init(path: String, reason: String, host: String? = nil) {
    self.path = path
    self.reason = reason
    self.host = host
  }
}

/// What can be wrong with a data set. The description reads: what failed – where – what to do.
public enum DatasetError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The folder does not exist or is no folder.
  case missingFolder(path: String)
  /// A file or folder exists but the system refuses to read it.
  case unreadable(path: String, reason: String)
  /// The folder holds no file with the name of an image.
  case noImages(path: String, ignoredFileCount: Int)
  /// Fewer classes than learning needs.
  case tooFewClasses(path: String, found: [String], needed: String)
  /// No class of that name.
  case unknownCategory(name: String, known: [String])
  /// A class without any image in one of the splits.
  case emptySplit(category: String, split: Split)
  /// Annotations that cannot be used; the line counts from 1 and is nil when one is missing.
  case badAnnotation(path: String, line: Int?, reason: String)
  /// Groups with images in both splits.
  case splitGroups(path: String, groups: [String])
  /// All files found unusable.
  case badImages([BadImage])
  /// Files that are not, on some host, as they were listed.
  case otherFiles([BadImage])
  /// The list of a data set arrived damaged from rank 0.
  case badListing(path: String)
  /// A file could not be written.
  case writeFailed(path: String, reason: String)
  /// A file or folder of a published layout is not there.
  case missingPiece(path: String, expected: String)
  /// A text file of a published layout makes no sense; the line counts from 1.
  case badSource(path: String, line: Int?, reason: String)
  /// A name in a published data set that could lead outside of the folder that is written.
  case unsafeName(path: String, name: String)
  /// The output folder holds something else.
  case occupiedFolder(path: String, found: String)
  /// A MATLAB file.
  case matlab(MATFileError)

  /// The process's exit code (sysexits): 64 wrong usage, 65 bad data, 66 missing input, 74 input or output.
  public var exitCode: Int32 {
    switch self {
    case .matlab(let error): error.exitCode
    case .unknownCategory, .occupiedFolder: 64
    case .missingFolder, .unreadable, .noImages, .missingPiece: 66
    case .writeFailed: 74
    case .badListing: 70
    case .tooFewClasses, .emptySplit, .badAnnotation, .splitGroups, .badImages, .otherFiles, .badSource,
      .unsafeName:
      65
    }
  }

  /// Every unusable file, when that is what the error is about; the description names the first twenty.
  public var badImages: [BadImage] {
    switch self {
    case .badImages(let images), .otherFiles(let images): images
    default: []
    }
  }

  /// What failed – where (path, expected, found) – what to do.
  public var description: String {
    switch self {
    case .missingFolder(let path):
      return "the data set does not exist – \(path) (expected a folder) – check --data"
    case .unreadable(let path, let reason):
      return
        "a file of the data set cannot be read – \(path) (\(reason)) – check its permissions and the disk"
    case .noImages(let path, let ignored):
      return
        "the data set holds no images – \(path) (expected images/CLASS/FILE.jpg or .png, found \(ignored) "
        + "other files) – check --data"
    case .tooFewClasses(let path, let found, let needed):
      return "too few classes to learn from – \(path) (expected \(needed), found \(Self.list(found))) – "
        + "add a folder of images for each class"
    case .unknownCategory(let name, let known):
      return "no such class – \(name) (found \(Self.list(known))) – choose one of these"
    case .emptySplit(let category, let split):
      return "a class has no \(split == .training ? "training" : "validation") image – \(category) – "
        + "add images, or correct the splits in annotations.jsonl"
    case .badAnnotation(let path, let line, let reason):
      let place = line.map { ", line \($0)" } ?? ""
      return "the annotations cannot be used – \(path)\(place) (\(reason)) – correct or remove the line"
    case .splitGroups(let path, let groups):
      return "groups have images in both splits – \(path) (\(groups.count) groups: \(Self.list(groups))) – "
        + "give all images of a group the same split"
    case .badImages(let images):
      return
        "\(images.count) unusable image\(images.count == 1 ? "" : "s") in the data set –\(Self.lines(images))\n– "
        + "mend or remove them, or leave them out with --skip-bad-images"
    case .otherFiles(let images):
      return
        "\(images.count) file\(images.count == 1 ? " is" : "s are") not as listed –\(Self.lines(images))\n– "
        + "give all hosts the same data; if files were written over in their place, remove .icnn-index or give "
        + "`icnn train` --rebuild-index"
    case .badListing(let path):
      return "the list of the data set arrived damaged – \(path) – give all hosts the same icnn"
    case .missingPiece(let path, let expected):
      return
        "a piece of the published data set is missing – \(path) (expected \(expected)) – fetch it, or check SOURCE"
    case .badSource(let path, let line, let reason):
      let place = line.map { ", line \($0)" } ?? ""
      return "a file of the published data set makes no sense – \(path)\(place) (\(reason)) – fetch it again"
    case .unsafeName(let path, let name):
      return
        "a name leads outside of the data set – \(path) (found \(name.debugDescription)) – do not trust this source"
    case .occupiedFolder(let path, let found):
      return "the folder holds something else – \(path) (found \(found)) – choose a new --output"
    case .matlab(let error): return error.description
    case .writeFailed(let path, let reason):
      return "a file cannot be written – \(path) (\(reason)) – check free space and permissions"
    }
  }

  private static func lines(_ images: [BadImage]) -> String {
    let lines = images.prefix(20).map { image in
      "\n  \(image.path)\(image.host.map { " on host " + $0 } ?? ""): \(image.reason)"
    }
    return lines.joined() + (images.count > 20 ? "\n  and \(images.count - 20) more" : "")
  }

  private static func list(_ names: [String]) -> String {
    let shown = names.prefix(8).joined(separator: ", ")
    return names.isEmpty ? "none" : names.count > 8 ? shown + ", …" : shown
  }
}
