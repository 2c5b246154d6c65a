import Testing

@testable import Datasets

@Suite struct ImageOrientationTests {
  /// A TIFF block whose only entry is the orientation.
  static func tiff(_ orientation: UInt16, isBigEndian: Bool) -> [UInt8] {
    func bytes(_ value: Int, _ count: Int) -> [UInt8] {
      let little = (0..<count).map { UInt8(value >> (8 * $0) & 0xFF) }
      return isBigEndian ? little.reversed() : little
    }
    let entry = bytes(0x0112, 2) + bytes(3, 2) + bytes(1, 4) + bytes(Int(orientation), 2) + [0, 0]
    return Array((isBigEndian ? "MM" : "II").utf8) + bytes(42, 2) + bytes(8, 4) + bytes(1, 2) + entry
      + bytes(0, 4)
  }

  static func withEXIF(_ jpeg: [UInt8], _ orientation: UInt16, isBigEndian: Bool) -> [UInt8] {
    let body = Array("Exif\0\0".utf8) + tiff(orientation, isBigEndian: isBigEndian)
    let length = body.count + 2
    return Array(jpeg.prefix(2)) + [0xFF, 0xE1, UInt8(length >> 8), UInt8(length & 0xFF)] + body
      + jpeg.dropFirst(2)
  }

  /// What the stored 3 x 2 image a b c / d e f looks like upright, for the values 1...8 (EXIF 2.32, figure of tag
  /// 0x0112: where the stored row 0 and column 0 belong).
  static let upright: [(orientation: UInt16, rows: [String])] = [
    (1, ["abc", "def"]),  // row 0 is the top, column 0 the left side
    (2, ["cba", "fed"]),  // top, right
    (3, ["fed", "cba"]),  // bottom, right
    (4, ["def", "abc"]),  // bottom, left
    (5, ["ad", "be", "cf"]),  // left side, top
    (6, ["da", "eb", "fc"]),  // right side, top
    (7, ["fc", "eb", "da"]),  // right side, bottom
    (8, ["cf", "be", "ad"]),  // left side, bottom
  ]

  @Test(arguments: upright, [false, true])
  func turnsPNG(_ item: (orientation: UInt16, rows: [String]), isBigEndian: Bool) throws {
    let letters = Array("abcdef".utf8)
    let stored = PNGFixture(
      width: 3, height: 2, bitDepth: 8, colorType: .grey, samples: letters.map { Int($0) },
      chunks: [("eXIf", Self.tiff(item.orientation, isBigEndian: isBigEndian))])
    let image = try ImageDecoder().decode(stored.bytes())
    #expect(image.width == item.rows[0].utf8.count && image.height == item.rows.count)
    #expect(stride(from: 0, to: 18, by: 3).map { image.pixels[$0] } == item.rows.flatMap { Array($0.utf8) })
    #expect(
      stride(from: 0, to: 18, by: 3).map { image.pixels[$0 + 2] } == item.rows.flatMap { Array($0.utf8) })
  }

  @Test(arguments: [false, true]) func turnsJPEG(isBigEndian: Bool) throws {
    var stored = plainImage(width: 32, height: 16, [20, 20, 20])
    for i in 0..<(32 * 8 * 3) { stored.pixels[i] = 220 }  // the stored top half is bright
    let jpeg = Self.withEXIF(encodeJPEG(stored), 6, isBigEndian: isBigEndian)
    let image = try ImageDecoder().decode(jpeg)
    #expect(image.width == 16 && image.height == 32)
    // Orientation 6: the stored top is the right side.
    #expect(image.pixels[(5 * 16 + 2) * 3] < 40 && image.pixels[(5 * 16 + 13) * 3] > 200)
  }

  @Test(arguments: [UInt16(0), 9, 65535]) func otherValuesMeanUpright(value: UInt16) throws {
    let jpeg = Self.withEXIF(
      encodeJPEG(plainImage(width: 8, height: 4, [9, 9, 9])), value, isBigEndian: true)
    #expect(try ImageDecoder().decode(jpeg).width == 8)
  }

  /// Any length of an EXIF block is met without a crash, and damage there does not make the picture unusable.
  @Test func damagedEXIFIsIgnored() throws {
    let jpeg = encodeJPEG(plainImage(width: 8, height: 4, [9, 9, 9]))
    let whole = Array("Exif\0\0".utf8) + Self.tiff(6, isBigEndian: true)
    for length in 6..<(whole.count - 6) {
      let bytes = [0xFF, 0xE1, 0, UInt8(length + 2)] + whole.prefix(length)
      let image = try ImageDecoder().decode(Array(jpeg.prefix(2)) + bytes + jpeg.dropFirst(2))
      #expect(image.width == 8 || image.height == 8)
    }
  }
}
