import Foundation
import Glibc
import Synchronization
import Tensors

/// A procedural data set whose categories differ by their parts: creatures with heads, legs, tails, wings, fins and
/// shells of different shapes, in clutter, in any colour, pose, scale and light, and with the true place of every
/// part.
///
/// Image i of a category is a function of (seed, category, i): the same bytes on every run and on any number of
/// threads. Colours, patterns and backgrounds are drawn alike for all categories, so nothing but shape tells them
/// apart; clutter is made of the same discs, triangles and strokes as the parts.
public struct SyntheticParts: Sendable {
  /// What is to be made.
  public struct Options: Codable, Sendable, Equatable {
    /// Number of categories, 2...8.
    public var categories: Int
    /// Images of each category.
    public var imagesPerCategory: Int
    /// Counter-examples: clutter without a creature.
    public var negatives: Int
    /// Side in pixels, at least 16.
    public var imageSize: Int
    /// Another seed, another data set.
    public var seed: UInt64
    /// Every so many-th image of a class is validation, at least 2.
    public var validationEvery: Int

    /// Traps on values out of range.
    public init(
      categories: Int = 6, imagesPerCategory: Int = 300, negatives: Int = 0, imageSize: Int = 96,
      seed: UInt64 = 1, validationEvery: Int = 5
    ) {
      precondition(
        (2...SyntheticKind.allCases.count).contains(categories) && imagesPerCategory >= validationEvery
          && negatives >= 0 && imageSize >= 16 && validationEvery >= 2,
        "SyntheticParts: \(categories) categories (2...8) of \(imagesPerCategory) images (at least "
          + "\(validationEvery)), \(negatives) negatives (0 or more), size \(imageSize) (at least 16), validation "
          + "every \(validationEvery) (at least 2)")
      self.categories = categories
      self.imagesPerCategory = imagesPerCategory
      self.negatives = negatives
      self.imageSize = imageSize
      self.seed = seed
      self.validationEvery = validationEvery
    }
  }

  /// One picture and the truth about it.
  public struct Picture: Sendable {
    /// Side x side pixels.
    public let image: RGBImage
    /// Visible parts, each once: centre of mass and bounds of its visible pixels.
    public let parts: [PartAnnotation]
    /// For each of `parts` [size, size]: 255 where it is visible, otherwise 0.
    public let masks: [[UInt8]]
  }

  /// What is made.
  public let options: Options

  /// A description; nothing is drawn yet.
  public init(_ options: Options = Options()) { self.options = options }

  /// Names of the classes, `negative` last if there are counter-examples.
  public var classNames: [String] {
    SyntheticKind.allCases.prefix(options.categories).map(\.name)
      + (options.negatives > 0 ? [ImageFolder.negativeName] : [])
  }

  /// Draws image `index` (from 0) of a class, an index into `classNames`.
  public func picture(category: Int, index: Int) -> Picture {
    let isNegative = category == options.categories
    let name = isNegative ? UInt64.max : UInt64(category)
    var random = RandomSource(seed: options.seed, purpose: .synthesis, name, UInt64(index))
    var canvas = Canvas(size: options.imageSize)
    drawBackground(&canvas, &random)
    let angle = random.uniform(0, 2 * .pi)
    let light = Point(cosf(angle), sinf(angle) - 0.5)
    drawClutter(&canvas, count: (isNegative ? 9 : 5) + random.index(below: 5), light, &random)
    if !isNegative { drawCreature(SyntheticKind.allCases[category], &canvas, light, &random) }
    drawGrass(&canvas, &random)
    expose(&canvas, light, &random)
    let (parts, masks) = truth(canvas)
    return Picture(image: canvas.image(), parts: parts, masks: masks)
  }

  // MARK: - Output

  /// Writes the data set in the plain layout, with annotations.jsonl and a mask for each part under `masks/`.
  ///
  /// - Parameter progress: called with the number of images done so far, on any of the threads.
  /// - Throws: `DatasetError.writeFailed`.
  public func write(to directory: String, progress: (@Sendable (Int) -> Void)? = nil) throws(DatasetError) {
    for name in classNames {
      try makeFolder(directory + "/images/" + name)
      if name != ImageFolder.negativeName { try makeFolder(directory + "/masks/" + name) }
    }
    let annotations = try render(progress: progress) { path, bytes throws(DatasetError) in
      try writeFile(directory + "/" + path, bytes)
    }
    try writeFile(directory + "/annotations.jsonl", annotations)
  }

  /// The data set in memory, without a file.
  public func folder() -> ImageFolder {
    let files = Mutex<[String: [UInt8]]>([:])
    do {
      let annotations = try render(progress: nil) { path, bytes throws(DatasetError) in
        files.withLock { $0[path] = bytes }
      }
      return try ImageFolder(named: "synthetic", files: files.withLock { $0 }, annotations: annotations)
    } catch {
      // Nothing is read or written here, and the files and annotations are our own.
      fatalError("SyntheticParts: \(error)")
    }
  }

  /// Draws all pictures on the process's thread pool, hands over every file, and returns the annotations.
  private func render(
    progress: (@Sendable (Int) -> Void)?, _ emit: (String, [UInt8]) throws(DatasetError) -> Void
  ) throws(DatasetError) -> [UInt8] {
    let names = classNames
    let items = names.enumerated().flatMap { category, name in
      (0..<(category < options.categories ? options.imagesPerCategory : options.negatives)).map {
        (category, $0)
      }
    }
    let done = Mutex(0)
    var lines = [Result<[UInt8], DatasetError>](repeating: .success([]), count: items.count)
    lines.withUnsafeMutableBufferPointer { lines in
      parallel(items.count) { i in
        let (category, index) = items[i]
        do throws(DatasetError) {
          lines[i] = .success(try render(names[category], category, index, emit))
        } catch {
          lines[i] = .failure(error)
        }
        guard let progress else { return }
        done.withLock {
          $0 += 1
          progress($0)
        }
      }
    }
    var annotations: [UInt8] = []
    for line in lines { annotations += try line.get() }
    return annotations
  }

  /// Draws one picture, hands over its files and returns its line of annotations.
  private func render(
    _ name: String, _ category: Int, _ index: Int, _ emit: (String, [UInt8]) throws(DatasetError) -> Void
  ) throws(DatasetError) -> [UInt8] {
    let picture = picture(category: category, index: index)
    let stem = name + "/" + String(format: "%05d", index + 1), size = options.imageSize
    let parts = picture.parts.map { part in
      PartAnnotation(
        part: part.part, x: part.x, y: part.y, box: part.box, mask: "masks/\(stem)-\(part.part).png")
    }
    for (part, mask) in zip(parts, picture.masks) {
      try emit(part.mask!, PNGEncoder.encode(mask, width: size, height: size, channels: 1))
    }
    try emit("images/\(stem).png", PNGEncoder.encode(picture.image))
    let annotation = ImageAnnotation(
      image: "images/\(stem).png", category: name,
      split: index % options.validationEvery == options.validationEvery - 1 ? .validation : .training,
      width: size, height: size, parts: parts)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Every number is finite, which is all that JSON asks for.
    return Array(try! encoder.encode(annotation)) + [UInt8(ascii: "\n")]
  }
}
