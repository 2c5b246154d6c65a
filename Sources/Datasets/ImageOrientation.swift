import CExif

/// How a camera was held: the values of the EXIF tag "Orientation" (EXIF 2.32, tag 0x0112).
enum ImageOrientation: UInt16, CaseIterable {
  case upright = 1
  case mirrored, upsideDown, upsideDownMirrored, transposed, turnedLeft, transversed, turnedRight

  /// The orientation in an EXIF block that begins with "Exif\0\0"; upright when it says nothing sensible.
  init(exif bytes: UnsafeRawBufferPointer) {
    let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    guard let data = exif_data_new_from_data(start, UInt32(bytes.count)) else {
      self = .upright
      return
    }
    defer { exif_data_unref(data) }
    guard let entry = exif_content_get_entry(data.pointee.ifd.0, EXIF_TAG_ORIENTATION),
      entry.pointee.format == EXIF_FORMAT_SHORT, entry.pointee.size >= 2
    else {
      self = .upright
      return
    }
    let value = exif_get_short(entry.pointee.data, exif_data_get_byte_order(data))
    self = ImageOrientation(rawValue: value) ?? .upright
  }

  /// Writes the upright image into `target`: pixel (x, y) of it is pixel (sx, sy) of the stored one.
  func turn(_ stored: RGBImage, into target: inout RGBImage) {
    let width = stored.width, height = stored.height
    let swapsAxes = rawValue >= Self.transposed.rawValue
    target.reshape(width: swapsAxes ? height : width, height: swapsAxes ? width : height)
    let targetWidth = target.width, targetHeight = target.height
    stored.pixels.withUnsafeBufferPointer { from in
      target.pixels.withUnsafeMutableBufferPointer { to in
        for y in 0..<targetHeight {
          for x in 0..<targetWidth {
            let (sx, sy) =
              switch self {
              case .upright: (x, y)
              case .mirrored: (width - 1 - x, y)
              case .upsideDown: (width - 1 - x, height - 1 - y)
              case .upsideDownMirrored: (x, height - 1 - y)
              case .transposed: (y, x)
              case .turnedLeft: (y, height - 1 - x)
              case .transversed: (width - 1 - y, height - 1 - x)
              case .turnedRight: (width - 1 - y, x)
              }
            for c in 0..<3 { to[(y * targetWidth + x) * 3 + c] = from[(sy * width + sx) * 3 + c] }
          }
        }
      }
    }
  }
}

/// What the marker segments before a JPEG's first scan say.
struct JPEGMarkers {
  /// There is an Adobe segment (APP14): four inks are stored inverted.
  private(set) var isAdobe = false
  /// From the EXIF segment (APP1).
  private(set) var orientation = ImageOrientation.upright

  init(_ bytes: UnsafeRawBufferPointer) {
    var at = 2
    while at + 4 <= bytes.count, bytes[at] == 0xFF {
      let marker = bytes[at + 1]
      if marker == 0xFF {  // a fill byte
        at += 1
        continue
      }
      let length = Int(bytes[at + 2]) << 8 | Int(bytes[at + 3])
      guard marker != 0xDA, length >= 2, at + 2 + length <= bytes.count else { return }
      let body = UnsafeRawBufferPointer(rebasing: bytes[(at + 4)..<(at + 2 + length)])
      if marker == 0xEE && body.starts(with: "Adobe".utf8) { isAdobe = true }
      if marker == 0xE1 && body.starts(with: "Exif\0\0".utf8) { orientation = ImageOrientation(exif: body) }
      at += 2 + length
    }
  }
}

/// The orientation in a PNG's eXIf chunk, which holds the EXIF block without its "Exif\0\0".
func pngOrientation(_ bytes: UnsafeRawBufferPointer) -> ImageOrientation {
  var at = 8
  while at + 12 <= bytes.count {
    let length = (0..<4).reduce(0) { $0 << 8 | Int(bytes[at + $1]) }
    guard length <= bytes.count - at - 12 else { break }
    let type = bytes[(at + 4)..<(at + 8)]
    if type.elementsEqual("eXIf".utf8) {
      let block = Array("Exif\0\0".utf8) + bytes[(at + 8)..<(at + 8 + length)]
      return block.withUnsafeBytes { ImageOrientation(exif: $0) }
    }
    if type.elementsEqual("IEND".utf8) { break }
    at += 12 + length
  }
  return .upright
}
