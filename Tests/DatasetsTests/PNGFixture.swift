/// Builds PNG files of any colour type byte by byte (PNG specification, third edition), so that the decoder is tested
/// against the format and not against libpng's own writer.
struct PNGFixture {
  enum ColorType: UInt8 { case grey = 0, rgb = 2, palette = 3, greyAlpha = 4, rgba = 6 }

  var width: Int, height: Int, bitDepth: Int, colorType: ColorType
  /// Samples row by row, each below 2^bitDepth.
  var samples: [Int]
  var isInterlaced = false
  /// Chunks between IHDR and IDAT.
  var chunks: [(type: String, body: [UInt8])] = []

  var channels: Int {
    switch colorType {
    case .grey, .palette: 1
    case .greyAlpha: 2
    case .rgb: 3
    case .rgba: 4
    }
  }

  func bytes() -> [UInt8] {
    var header = bigEndian(width) + bigEndian(height)
    header += [UInt8(bitDepth), colorType.rawValue, 0, 0, isInterlaced ? 1 : 0]
    var file: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + Self.chunk("IHDR", header)
    for chunk in chunks { file += Self.chunk(chunk.type, chunk.body) }
    return file + Self.chunk("IDAT", zlibStored(scanlines())) + Self.chunk("IEND", [])
  }

  static func chunk(_ type: String, _ body: [UInt8]) -> [UInt8] {
    bigEndian(body.count) + Array(type.utf8) + body + bigEndian(Int(crc(Array(type.utf8) + body)))
  }

  /// Every row of every pass: filter 0, then packed samples.
  private func scanlines() -> [UInt8] {
    // Adam7: first row, row step, first column, column step.
    let passes =
      isInterlaced
      ? [(0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1)]
      : [(0, 1, 0, 1)]
    var bytes: [UInt8] = []
    for (firstRow, rowStep, firstColumn, columnStep) in passes {
      let columns = Array(stride(from: firstColumn, to: width, by: columnStep))
      guard !columns.isEmpty else { continue }
      for y in stride(from: firstRow, to: height, by: rowStep) {
        bytes.append(0)
        var bits: [Int] = []
        for x in columns {
          for c in 0..<channels {
            let sample = samples[(y * width + x) * channels + c]
            bits += (0..<bitDepth).map { sample >> (bitDepth - 1 - $0) & 1 }
          }
        }
        for start in stride(from: 0, to: bits.count, by: 8) {
          bytes.append(
            UInt8((0..<8).reduce(0) { $0 << 1 | (start + $1 < bits.count ? bits[start + $1] : 0) }))
        }
      }
    }
    return bytes
  }
}

private func bigEndian(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(value >> (24 - 8 * $0) & 0xFF) } }

/// One stored block of deflate in a zlib frame.
private func zlibStored(_ data: [UInt8]) -> [UInt8] {
  precondition(data.count < 65536)
  let n = UInt16(data.count)
  var a = 1, b = 0
  for byte in data {
    a = (a + Int(byte)) % 65521
    b = (b + a) % 65521
  }
  return [0x78, 0x01, 0x01, UInt8(n & 0xFF), UInt8(n >> 8), UInt8(~n & 0xFF), UInt8(~n >> 8)] + data
    + bigEndian(b << 16 | a)
}

private func crc(_ data: [UInt8]) -> UInt32 {
  ~data.reduce(UInt32.max) { crc, byte in
    (0..<8).reduce(crc ^ UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
  }
}
