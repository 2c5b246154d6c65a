import CXXHash
import Foundation
import MATFiles

/// Pixels of a photograph, MATLAB's way: counted from 1, both ends inside.
struct PixelBox: Codable, Equatable {
  var xmin: Int, ymin: Int, xmax: Int, ymax: Int

  /// Pixels inside; 0 for a box turned inside out.
  var area: Int { max(0, xmax - xmin + 1) * max(0, ymax - ymin + 1) }

  /// What lies inside an image of this extent, nil if nothing does.
  func clamped(width: Int, height: Int) -> PixelBox? {
    let box = PixelBox(
      xmin: max(xmin, 1), ymin: max(ymin, 1), xmax: min(xmax, width), ymax: min(ymax, height))
    return box.xmin <= box.xmax && box.ymin <= box.ymax ? box : nil
  }

  /// From numbers of a file; nil unless all are finite and sensible.
  init?(xmin: Double, ymin: Double, xmax: Double, ymax: Double) {
    let values = [xmin, ymin, xmax, ymax].map { $0.rounded(.toNearestOrAwayFromZero) }
    guard values.allSatisfy({ abs($0) < 1e6 }) else { return nil }
    self.init(xmin: Int(values[0]), ymin: Int(values[1]), xmax: Int(values[2]), ymax: Int(values[3]))
  }

  init(xmin: Int, ymin: Int, xmax: Int, ymax: Int) {
    self.xmin = xmin
    self.ymin = ymin
    self.xmax = xmax
    self.ymax = ymax
  }

  /// Reads `[xmin, ymin, xmax, ymax]`.
  init(from decoder: any Decoder) throws {
    let edges = try [Int](from: decoder)
    guard edges.count == 4 else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "expected four edges, found \(edges)"))
    }
    self.init(xmin: edges[0], ymin: edges[1], xmax: edges[2], ymax: edges[3])
  }

  /// Writes `[xmin, ymin, xmax, ymax]`.
  func encode(to encoder: any Encoder) throws { try [xmin, ymin, xmax, ymax].encode(to: encoder) }
}

/// A part before its object is cut out and shrunk.
struct ImportPart: Codable, Equatable {
  /// What the numbers are measured in. Both are continuous: pixel i, counted from 1, has its centre at i - 0.5.
  enum Frame: String, Codable {
    /// The photograph, in pixels.
    case photograph
    /// The cut-out object stretched to 224 x 224 pixels.
    case crop224
  }

  var name: String
  var frame: Frame
  var x: Double, y: Double
  /// [x0, y0, x1, y1].
  var box: [Double]?
}

/// One image to be made: an object cut out of a photograph, or a whole photograph.
struct ImportItem: Codable, Equatable {
  /// Path relative to the source.
  var source: String
  /// The object, nil for the whole photograph.
  var box: PixelBox?
  /// Class and name without ending; both are safe as names of files.
  var category: String, stem: String
  var split: Split
  /// The photograph, where objects of one stay on one side of the split.
  var group: String?
  var parts: [ImportPart]

  /// Path relative to the data set.
  var path: String { "images/\(category)/\(stem).jpg" }
}

/// All that an importer read from a published layout.
public struct ImportPlan: Sendable {
  /// How images are divided into training and validation.
  public enum SplitRule: String, Sendable, CaseIterable {
    /// Every tenth photograph of a class is validation, with all its objects (CUB-200: the published split).
    case photographs
    /// As the authors' code does: 90 % of the objects, evenly spaced; a photograph may be on both sides.
    case authors
  }

  let layout: String
  let source: String
  var items: [ImportItem] = []
  private(set) var omissions = ImportOmissions()
  /// What a user should know.
  var notes: [String] = []

  /// Objects smaller than this many pixels are left out, as in the authors' code.
  static let minimumArea = 50 * 50

  init(layout: String, source: String) {
    self.layout = layout
    self.source = source
  }

  /// Number of images to be made.
  public var count: Int { items.count }

  /// Notes something that is not imported.
  mutating func omit(_ what: String, because reason: String) { omissions.add(what, reason) }

  /// xxh3-64 over all items: what tells one import from another.
  var fingerprint: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Every number is finite: readers see to it.
    let bytes = Array(try! encoder.encode(items))
    return String(bytes.withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count) }, radix: 16)
  }

  /// Divides a class's items, which are in their published order: item i is object `numbers[i]`, from 1, of `count`.
  static func divide(_ items: inout [ImportItem], by rule: SplitRule, numbers: [Int], of count: Int) {
    switch rule {
    case .photographs:
      var splits: [String: Split] = [:]
      var seen: Set<String> = []
      let photographs = items.compactMap(\.group).filter { seen.insert($0).inserted }
      for (number, photograph) in photographs.enumerated() {
        let isTenth =
          number % 10 == 9
          || (photographs.count > 1 && photographs.count < 10 && number == photographs.count - 1)
        splits[photograph] = isTenth ? .validation : .training
      }
      for i in items.indices { items[i].split = items[i].group.flatMap { splits[$0] } ?? .training }
    case .authors:
      let training = authorsTrainingIndices(of: count)
      for i in items.indices {
        items[i].split = training.contains(numbers[i]) ? .training : .validation
        items[i].group = nil
      }
    }
  }

  /// round(linspace(1, n, round(0.9 n))) with MATLAB's rounding: half away from zero.
  static func authorsTrainingIndices(of n: Int) -> Set<Int> {
    let count = Int((0.9 * Double(n)).rounded(.toNearestOrAwayFromZero))
    guard count > 1 else { return count == 1 ? [n] : [] }
    return Set(
      (0..<count).map {
        Int((1 + Double($0) * Double(n - 1) / Double(count - 1)).rounded(.toNearestOrAwayFromZero))
      })
  }
}

/// A reason why something was not imported, and what it kept out.
public struct ImportOmission: Codable, Sendable, Equatable {
  /// In words.
  public let reason: String
  /// How many.
  public fileprivate(set) var count: Int
  /// The first ten.
  public fileprivate(set) var examples: [String]
}

/// Reasons in the order in which they came up.
struct ImportOmissions: Sendable {
  private(set) var list: [ImportOmission] = []

  mutating func add(_ what: String, _ reason: String) {
    let index =
      list.firstIndex { $0.reason == reason }
      ?? {
        list.append(ImportOmission(reason: reason, count: 0, examples: []))
        return list.count - 1
      }()
    list[index].count += 1
    if list[index].examples.count < 10 { list[index].examples.append(what) }
  }
}

// MARK: - What layouts have in common

/// A text file's lines, split at blanks, with their numbers from 1; empty lines are left out.
func readTable(_ path: String) throws(DatasetError) -> [(line: Int, fields: [String])] {
  guard access(path, F_OK) == 0 else {
    throw .missingPiece(path: path, expected: "a text file with a line for each entry")
  }
  var bytes: [UInt8] = []
  try readFile(path, into: &bytes)
  let lines = String(decoding: bytes, as: UTF8.self).split(
    omittingEmptySubsequences: false, whereSeparator: \.isNewline)
  return lines.enumerated().map {
    (line: $0 + 1, fields: $1.split(whereSeparator: \.isWhitespace).map(String.init))
  }
  .filter { !$0.fields.isEmpty }
}

/// A name that stays inside the folder in which a file of that name is made. Throws `.unsafeName`.
func safeName(_ name: String, from path: String) throws(DatasetError) -> String {
  let isSafe =
    !name.isEmpty && name.utf8.count <= 200 && !name.hasPrefix(".")
    && name.unicodeScalars.allSatisfy { $0 != "/" && $0 != "\\" && $0.value >= 0x20 && $0.value != 0x7F }
  guard isSafe else { throw .unsafeName(path: path, name: name) }
  return name
}
