import Datasets

/// The annotated parts of the images of a split, in the frame of the network's input.
public struct SplitParts: Sendable {
  /// Centre of a part, in pixels of the input.
  public struct Landmark: Sendable, Equatable {
    /// To the right and downwards from the top-left corner.
    public let x: Double, y: Double
  }

  /// Names of the parts, in alphabetical order.
  public let names: [String]
  /// How places become places of the input.
  public let frame: InputFrame
  private let folder: ImageFolder
  // Per image, [parts]: what is annotated, and the extent of the stored image where anything is.
  private let instances: [[[PartAnnotation]]]
  private let extents: [(width: Int, height: Int)?]

  /// Names of the parts that the images of a split show, or those that were chosen among them.
  ///
  /// - Throws: `unknownPart` if no image shows a chosen one.
  public static func names(
    _ entries: [LearningTask.Entry], of folder: ImageFolder, chosen: [String]? = nil
  ) throws(InterpretabilityError) -> [String] {
    let found = Set(entries.flatMap { folder.samples[$0.sample].parts.map(\.part) }).sorted()
    guard let chosen else { return found }
    if let missing = chosen.first(where: { !found.contains($0) }) {
      throw .unknownPart(name: missing, known: found)
    }
    return Set(chosen).sorted()
  }

  /// Reads what the folder's annotations say about some parts on the images of `entries`.
  ///
  /// Where they do not say how large an image is, the image is opened, by each rank for its share.
  /// - Throws: `badImage` for an image that cannot be opened.
  public init(
    _ entries: [LearningTask.Entry], of folder: ImageFolder, _ frame: InputFrame, named names: [String],
    _ ranks: RankGather = .single
  ) throws {
    self.frame = frame
    self.folder = folder
    self.names = names
    let samples = entries.map { folder.samples[$0.sample] }
    instances = samples.map { sample in names.map { name in sample.parts.filter { $0.part == name } } }
    extents = try Self.extents(samples, instances, of: folder, ranks)
  }

  private static func extents(
    _ samples: [Sample], _ instances: [[[PartAnnotation]]], of folder: ImageFolder, _ ranks: RankGather
  ) throws -> [(width: Int, height: Int)?] {
    let unknown = samples.indices.filter { image in
      instances[image].contains { !$0.isEmpty }
        && (samples[image].width == nil || samples[image].height == nil)
    }
    let share = ShardedSampler.share(of: unknown.count, rank: ranks.rank, rankCount: ranks.rankCount)
    var own: [Int32] = []
    var failure: [UInt8] = []
    let decoder = ImageDecoder()
    for image in unknown[share] {
      do {
        let decoded = try decode(samples[image].path, of: folder, decoder)
        own += [Int32(decoded.width), Int32(decoded.height)]
      } catch {
        failure = Array("\(samples[image].path): \(error)".utf8)
        break
      }
    }
    var extents = samples.map { sample in
      sample.width.flatMap { width in sample.height.map { (width: width, height: $0) } }
    }
    guard !unknown.isEmpty else { return extents }
    var writer = ByteWriter()
    writer.write(failure)
    writer.write(own)
    var measured: [Int32] = []
    for var reader in try ranks.exchange(writer) {
      let failure = reader.read(UInt8.self)
      // Every rank throws it, so that none waits for another.
      guard failure.isEmpty else {
        throw InterpretabilityError.badImage(reason: String(decoding: failure, as: UTF8.self))
      }
      measured += reader.read(Int32.self)
    }
    for (index, image) in unknown.enumerated() {
      extents[image] = (Int(measured[2 * index]), Int(measured[2 * index + 1]))
    }
    return extents
  }

  private static func decode(_ path: String, of folder: ImageFolder, _ decoder: ImageDecoder) throws
    -> RGBImage
  {
    var bytes: [UInt8] = []
    try folder.read(path, into: &bytes)
    return try decoder.decode(bytes)
  }

  /// Number of instances of a part on an image.
  public func count(_ part: Int, on image: Int) -> Int { instances[image][part].count }

  /// Where a part is on an image; nil unless it occurs exactly once (the authors' rule). It may lie outside the input, where
  /// annotations reach beyond the image or a margin is cut off.
  public func landmark(_ part: Int, on image: Int) -> Landmark? {
    guard instances[image][part].count == 1, let extent = extents[image] else { return nil }
    let instance = instances[image][part][0]
    return Landmark(
      x: frame.toInput(Double(instance.x), extent: extent.width),
      y: frame.toInput(Double(instance.y), extent: extent.height))
  }

  /// Whether every instance of a part on an image, and at least one, has an extent.
  public func hasRegion(_ part: Int, on image: Int) -> Bool {
    let found = instances[image][part]
    return !found.isEmpty && found.allSatisfy { $0.mask != nil || $0.box != nil }
  }

  /// Whether any region of the split comes from a box instead of a mask.
  public var usesBoxes: Bool {
    instances.joined().joined().contains { $0.mask == nil && $0.box != nil }
  }

  /// The pixels of the input that a part covers, all its instances together, [side, side] row-major: those whose centre
  /// lies in the mask, or in the box where there is none. nil without a region, or if it covers no pixel of the input
  /// because a margin is cut off.
  ///
  /// - Throws: `badMask`.
  public func region(_ part: Int, on image: Int, _ decoder: ImageDecoder) throws -> [Bool]? {
    guard hasRegion(part, on: image), let extent = extents[image] else { return nil }
    let side = frame.side
    let columns = (0..<side).map { frame.toImage($0, extent: extent.width) }
    let rows = (0..<side).map { frame.toImage($0, extent: extent.height) }
    var covered = [Bool](repeating: false, count: side * side)
    for instance in instances[image][part] {
      if let path = instance.mask {
        let mask = try mask(path, extent, decoder)
        for (y, row) in rows.enumerated() {
          for (x, column) in columns.enumerated()
          where mask.pixels[3 * (Int(row) * extent.width + Int(column))] > 127 {
            covered[y * side + x] = true
          }
        }
      } else if let box = instance.box {
        for (y, row) in rows.enumerated() where row >= Double(box.y0) && row < Double(box.y1) {
          for (x, column) in columns.enumerated()
          where column >= Double(box.x0) && column < Double(box.x1) {
            covered[y * side + x] = true
          }
        }
      }
    }
    return covered.contains(true) ? covered : nil
  }

  private func mask(_ path: String, _ extent: (width: Int, height: Int), _ decoder: ImageDecoder) throws
    -> RGBImage
  {
    let mask: RGBImage
    do { mask = try Self.decode(path, of: folder, decoder) } catch {
      throw InterpretabilityError.badMask(path: path, reason: "\(error)")
    }
    guard mask.width == extent.width, mask.height == extent.height else {
      throw InterpretabilityError.badMask(
        path: path,
        reason:
          "expected \(extent.width)×\(extent.height) pixels like its image, found \(mask.width)×\(mask.height)"
      )
    }
    return mask
  }
}
