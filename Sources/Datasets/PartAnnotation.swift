/// One instance of a part in an image.
///
/// Coordinates are pixels of the image as it is decoded (upright, at its own size), continuous: the origin is the top-left corner of the top-left pixel,
/// pixel centres lie at +0.5, x grows to the right and y downwards.
public struct PartAnnotation: Codable, Sendable, Equatable {
  /// A box in the same frame, not clipped: it may reach beyond the image.
  public struct Box: Codable, Sendable, Equatable {
    /// Left, top, right and bottom edge; x0 <= x1 and y0 <= y1.
    public let x0: Float, y0: Float, x1: Float, y1: Float

    /// The box from (x0, y0) to (x1, y1).
    public init(x0: Float, y0: Float, x1: Float, y1: Float) {
      self.x0 = x0
      self.y0 = y0
      self.x1 = x1
      self.y1 = y1
    }

    /// Reads `[x0, y0, x1, y1]`; throws `DecodingError` for anything else or a box turned inside out.
    public init(from decoder: any Decoder) throws {
      let edges = try [Float](from: decoder)
      guard edges.count == 4, edges[0] <= edges[2], edges[1] <= edges[3] else {
        throw DecodingError.dataCorrupted(
          .init(codingPath: decoder.codingPath, debugDescription: "expected [x0, y0, x1, y1], found \(edges)")
        )
      }
      self.init(x0: edges[0], y0: edges[1], x1: edges[2], y1: edges[3])
    }

    /// Writes `[x0, y0, x1, y1]`.
    public func encode(to encoder: any Encoder) throws { try [x0, y0, x1, y1].encode(to: encoder) }
  }

  /// Name of the part: "head", "leg", …
  public let part: String
  /// Centre.
  public let x: Float, y: Float
  /// Extent, where known.
  public let box: Box?
  /// Path of an 8-bit grey PNG of the image's size, relative to the data set; the part's pixels are 255.
  public let mask: String?

  /// A part centred at (x, y).
  public init(part: String, x: Float, y: Float, box: Box? = nil, mask: String? = nil) {
    self.part = part
    self.x = x
    self.y = y
    self.box = box
    self.mask = mask
  }
}

extension PartAnnotation {
  /// Name, centre and box, mask.
  func encode(to writer: inout ByteWriter) {
    writer.write(part)
    writer.write([x, y] + (box.map { [$0.x0, $0.y0, $0.x1, $0.y1] } ?? []))
    writer.write(mask == nil ? 0 : 1)
    if let mask { writer.write(mask) }
  }

  init(from reader: inout ByteReader) throws(ByteReader.Malformed) {
    let part = try reader.readText()
    let numbers = try reader.readFloats()
    guard [2, 6].contains(numbers.count) else { throw ByteReader.Malformed() }
    let mask = try reader.readNumber() == 0 ? nil : try reader.readText()
    self.init(
      part: part, x: numbers[0], y: numbers[1],
      box: numbers.count == 2 ? nil : Box(x0: numbers[2], y0: numbers[3], x1: numbers[4], y1: numbers[5]),
      mask: mask)
  }
}

/// What one line of annotations.jsonl says about one image; fields that are not named here are ignored.
struct ImageAnnotation: Codable {
  var image: String
  var category: String?
  var split: Split?
  var width: Int?
  var height: Int?
  var group: String?
  var parts: [PartAnnotation]?
}
