import Foundation
import Glibc
import Synchronization
import Tensors

/// Makes a data set in the plain layout from an `ImportPlan`.
///
/// Every file is written beside its place and then renamed, so a file that is there is whole: an import that was killed goes on
/// where it was, and one that is complete finds nothing to do. The bytes depend on the source and the options alone, not on the
/// number of threads or interruptions. `import.json` tells which import a folder holds; another one is refused.
public struct DataImport: Sendable {
  /// The longer side of an image is at most this many pixels; larger objects are shrunk, none is enlarged.
  public let longestSide: Int
  private let plan: ImportPlan
  private let output: String

  /// What `import.json` holds.
  private struct Label: Codable, Equatable {
    var layout: String
    var longestSide: Int
    var images: Int
    var fingerprint: String
  }

  private enum Outcome {
    case written(ImportLine), kept(ImportLine), bad(String)
  }

  /// Nothing is written yet. `longestSide` is at least 16.
  public init(_ plan: ImportPlan, to output: String, longestSide: Int = 500) {
    precondition(longestSide >= 16, "DataImport: longest side \(longestSide)")
    self.plan = plan
    self.output = output
    self.longestSide = longestSide
  }

  /// Makes what is missing, on the process's thread pool.
  ///
  /// - Parameter progress: called with the number of images done so far, on any of the threads, one call at a time.
  /// - Throws: `DatasetError`.
  public func run(progress: (@Sendable (Int) -> Void)? = nil) throws(DatasetError) -> ImportSummary {
    try prepareFolder()
    let done = Mutex(0)
    var outcomes = [Result<Outcome, DatasetError>?](repeating: nil, count: plan.items.count)
    let hasFailed = Atomic(false)
    outcomes.withUnsafeMutableBufferPointer { outcomes in
      parallel(plan.items.count) { i in
        guard !hasFailed.load(ordering: .relaxed) else { return }
        do throws(DatasetError) {
          outcomes[i] = .success(try make(plan.items[i]))
        } catch {
          outcomes[i] = .failure(error)
          hasFailed.store(true, ordering: .relaxed)
        }
        guard let progress else { return }
        done.withLock {
          $0 += 1
          progress($0)
        }
      }
    }
    return try finish(outcomes)
  }

  // MARK: - The folder

  private func prepareFolder() throws(DatasetError) {
    let label = Label(
      layout: plan.layout, longestSide: longestSide, images: plan.items.count, fingerprint: plan.fingerprint)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    let bytes = Array(try! encoder.encode(label)) + [UInt8(ascii: "\n")]
    try makeFolder(output)
    let path = output + "/import.json"
    if access(path, F_OK) == 0 {
      var found: [UInt8] = []
      try readFile(path, into: &found)
      guard found == bytes else {
        throw .occupiedFolder(path: output, found: "an import of another source or with other options")
      }
    } else {
      let names = try listFolder(output)
      guard names.isEmpty else { throw .occupiedFolder(path: output, found: names.sorted()[0]) }
      try replaceFile(path, bytes)
    }
    try makeOwnFolder("images")
    for category in Set(plan.items.map(\.category)) { try makeOwnFolder("images/" + category) }
  }

  /// A folder in the output that is no link to elsewhere.
  private func makeOwnFolder(_ name: String) throws(DatasetError) {
    let path = output + "/" + name
    guard mkdir(path, 0o755) == 0 || errno == EEXIST else {
      throw .writeFailed(path: path, reason: systemError())
    }
    var status = stat()
    guard lstat(path, &status) == 0 else { throw .unreadable(path: path, reason: systemError()) }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw .occupiedFolder(path: path, found: "a link or a file")
    }
  }

  // MARK: - One image

  private func make(_ item: ImportItem) throws(DatasetError) -> Outcome {
    let workspace = ImageWorkspace()
    let target = output + "/" + item.path
    var isWritten = false
    do throws(DatasetError) {
      try readFile(plan.source + "/" + item.source, into: &workspace.file)
    } catch {
      return .bad("a photograph that is not there or cannot be read")
    }
    guard (try? workspace.decoder.decode(workspace.file, into: &workspace.image)) != nil else {
      return .bad("a damaged photograph")
    }
    let extent = PixelBox(xmin: 1, ymin: 1, xmax: workspace.image.width, ymax: workspace.image.height)
    guard let crop = (item.box ?? extent).clamped(width: extent.xmax, height: extent.ymax) else {
      return .bad("an object outside of its photograph")
    }
    let scaled = scaledExtent(of: crop)
    if !isWhole(target, extent: scaled, workspace) {
      try replaceFile(target, JPEGEncoder.encode(cut(crop, scaled, workspace), quality: 95))
      isWritten = true
    }
    let line = ImportLine(item, crop: crop, extent: scaled, photograph: extent)
    return isWritten ? .written(line) : .kept(line)
  }

  /// Whether the image was made before: it is there, no link, and decodes to its extent.
  private func isWhole(_ path: String, extent: (width: Int, height: Int), _ workspace: ImageWorkspace) -> Bool
  {
    var status = stat()
    guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return false }
    var bytes: [UInt8] = []
    guard (try? readFile(path, into: &bytes)) != nil,
      let image = try? ImageDecoder().decode(bytes)
    else { return false }
    return image.width == extent.width && image.height == extent.height
  }

  private func scaledExtent(of crop: PixelBox) -> (width: Int, height: Int) {
    let width = crop.xmax - crop.xmin + 1, height = crop.ymax - crop.ymin + 1
    let longest = max(width, height)
    guard longest > longestSide else { return (width, height) }
    func scaled(_ side: Int) -> Int { max(1, (side * longestSide + longest / 2) / longest) }
    return (scaled(width), scaled(height))
  }

  private func cut(_ crop: PixelBox, _ extent: (width: Int, height: Int), _ workspace: ImageWorkspace)
    -> RGBImage
  {
    let width = crop.xmax - crop.xmin + 1, height = crop.ymax - crop.ymin + 1
    var image = RGBImage(width: width, height: height)
    let sourceWidth = workspace.image.width
    for row in 0..<height {
      let from = ((crop.ymin - 1 + row) * sourceWidth + crop.xmin - 1) * 3
      image.pixels.replaceSubrange(
        (row * width * 3)..<((row + 1) * width * 3), with: workspace.image.pixels[from..<(from + width * 3)])
    }
    guard extent != (width, height) else { return image }
    let count = extent.width * extent.height * 3
    var values = [Float](repeating: 0, count: count)
    values.withUnsafeMutableBufferPointer {
      workspace.resizer.resize(image, width: extent.width, height: extent.height, into: $0.baseAddress!)
    }
    var shrunk = RGBImage(width: extent.width, height: extent.height)
    for i in 0..<count { shrunk.pixels[i] = UInt8(max(0, min(255, values[i].rounded()))) }
    return shrunk
  }

  // MARK: - The end

  private func finish(_ outcomes: [Result<Outcome, DatasetError>?]) throws(DatasetError) -> ImportSummary {
    var omissions = plan.omissions
    var categories: [String: ImportSummary.Category] = [:]
    var annotations: [UInt8] = []
    var written = 0, kept = 0
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    for outcome in outcomes { if case .failure(let error) = outcome { throw error } }
    for (item, outcome) in zip(plan.items, outcomes) {
      guard let outcome else { continue }
      let line: ImportLine
      switch try outcome.get() {
      case .bad(let reason):
        omissions.add(item.source, reason)
        continue
      case .written(let made):
        written += 1
        line = made
      case .kept(let made):
        kept += 1
        line = made
      }
      // Every number is finite, which is all that JSON asks for.
      annotations += Array(try! encoder.encode(line)) + [UInt8(ascii: "\n")]
      var category = categories[item.category] ?? ImportSummary.Category(name: item.category)
      if line.split == .training { category.train += 1 } else { category.val += 1 }
      for part in Set(line.parts.map(\.part)) { category.parts[part, default: 0] += 1 }
      categories[item.category] = category
    }
    guard !categories.isEmpty else {
      throw .noImages(path: plan.source, ignoredFileCount: omissions.list.count)
    }
    let path = output + "/annotations.jsonl"
    var old: [UInt8] = []
    if access(path, F_OK) == 0 { try readFile(path, into: &old) }
    if old != annotations { try replaceFile(path, annotations) }
    return ImportSummary(
      layout: plan.layout, output: output, written: written, kept: kept,
      categories: categories.values.sorted { $0.name < $1.name }, leftOut: omissions.list, notes: plan.notes)
  }
}

/// A line of annotations.jsonl.
struct ImportLine: Codable {
  var image: String
  var category: String
  var split: Split
  var width: Int, height: Int
  var group: String?
  var parts: [PartAnnotation]
  /// Where it comes from: the photograph, its extent, and the pixels that were cut out.
  var source: String
  var sourceSize: [Int]
  var bbox: PixelBox

  enum CodingKeys: String, CodingKey {
    case image, category, split, width, height, group, parts, source, bbox
    case sourceSize = "source_size"
  }

  init(_ item: ImportItem, crop: PixelBox, extent: (width: Int, height: Int), photograph: PixelBox) {
    image = item.path
    category = item.category
    split = item.split
    (width, height) = extent
    group = item.group
    source = item.source
    sourceSize = [photograph.xmax, photograph.ymax]
    bbox = crop
    let size = (Double(crop.xmax - crop.xmin + 1), Double(crop.ymax - crop.ymin + 1))
    parts = item.parts.map { part in
      func x(_ value: Double) -> Float {
        let share = part.frame == .crop224 ? value / 224 : (value - Double(crop.xmin - 1)) / size.0
        return Float(share * Double(extent.width))
      }
      func y(_ value: Double) -> Float {
        let share = part.frame == .crop224 ? value / 224 : (value - Double(crop.ymin - 1)) / size.1
        return Float(share * Double(extent.height))
      }
      return PartAnnotation(
        part: part.name, x: x(part.x), y: y(part.y),
        box: part.box.map { PartAnnotation.Box(x0: x($0[0]), y0: y($0[1]), x1: x($0[2]), y1: y($0[3])) })
    }
  }
}

/// Writes a file whole or not at all: beside its place, then renamed.
func replaceFile(_ path: String, _ bytes: [UInt8]) throws(DatasetError) {
  let beside = path + ".part"
  // A link of that name would be followed.
  unlink(beside)
  try writeFile(beside, bytes)
  guard rename(beside, path) == 0 else {
    let reason = systemError()
    unlink(beside)
    throw .writeFailed(path: path, reason: reason)
  }
}
