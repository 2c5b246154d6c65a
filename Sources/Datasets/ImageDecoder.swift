import CPNG
import CTurboJPEG

/// Why bytes are not a usable image.
public struct ImageError: Error, Sendable, Equatable, CustomStringConvertible {
  /// In words.
  public let description: String
}

/// Bytes of a JPEG or PNG file → upright 8-bit RGB.
///
/// The content decides about the format, not the file's name. JPEG: grey, RGB, CMYK and YCCK, baseline and
/// progressive. PNG: grey, palette, RGB, with alpha (composited on white), 1 to 16 bits (16-bit values are sRGB
/// encoded like 8-bit ones), interlaced. The EXIF orientation is applied. Anything damaged throws: a warning of
/// libjpeg (data cut short, corrupt codes) counts as damage.
///
/// Holds its decompressor and buffers from image to image; one thread uses it at a time.
public final class ImageDecoder {
  /// Most pixels an image may have: 100 million. A small file can claim more than the memory holds.
  public static let maximumPixels = 100_000_000

  private var jpeg = ImageDecoder.makeDecompressor()
  /// Where an image lands that must still be converted or turned.
  private var raw: [UInt8] = []
  private var unturned = RGBImage(width: 1, height: 1)

  /// A decoder with empty buffers.
  public init() {
    guard let handle = tjInitDecompress() else {
      fatalError("libjpeg-turbo has no memory for a decompressor")
    }
    jpeg = handle
  }

  deinit { tjDestroy(jpeg) }

  private func decode(_ bytes: UnsafeRawBufferPointer, into image: inout RGBImage) throws(ImageError) {
    guard !bytes.isEmpty else { throw ImageError(description: "the file is empty") }
    let orientation: ImageOrientation
    if bytes.starts(with: [0xFF, 0xD8, 0xFF]) {
      let markers = JPEGMarkers(bytes)
      orientation = markers.orientation
      try decodeJPEG(bytes, isAdobe: markers.isAdobe, into: &unturned)
    } else if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
      orientation = pngOrientation(bytes)
      try decodePNG(bytes, into: &unturned)
    } else {
      throw ImageError(description: "neither JPEG nor PNG, but \(Self.guess(bytes))")
    }
    if orientation == .upright { swap(&image, &unturned) } else { orientation.turn(unturned, into: &image) }
  }

  /// Decodes a file's bytes into `image`; its memory is used again where the extent is the same.
  public func decode(_ bytes: [UInt8], into image: inout RGBImage) throws(ImageError) {
    try bytes.withUnsafeBufferPointer { bytes throws(ImageError) in
      try decode(UnsafeRawBufferPointer(bytes), into: &image)
    }
  }

  /// Decodes a file's bytes into a new image.
  public func decode(_ bytes: [UInt8]) throws(ImageError) -> RGBImage {
    var image = RGBImage(width: 1, height: 1)
    try decode(bytes, into: &image)
    return image
  }

  // MARK: - JPEG

  private func decodeJPEG(
    _ bytes: UnsafeRawBufferPointer, isAdobe: Bool, into image: inout RGBImage
  ) throws(ImageError) {
    let start = bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)
    let length = UInt(bytes.count)
    var width: Int32 = 0, height: Int32 = 0, subsampling: Int32 = 0, colorSpace: Int32 = 0
    guard tjDecompressHeader3(jpeg, start, length, &width, &height, &subsampling, &colorSpace) == 0 else {
      throw jpegError()
    }
    try Self.check(width: Int(width), height: Int(height))
    image.reshape(width: Int(width), height: Int(height))
    let isFourInk = colorSpace == Int32(TJCS_CMYK.rawValue) || colorSpace == Int32(TJCS_YCCK.rawValue)
    let format = isFourInk ? TJPF_CMYK : TJPF_RGB
    let flags = TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS
    func decompress(_ target: inout [UInt8]) -> Bool {
      tjDecompress2(jpeg, start, length, &target, width, 0, height, Int32(format.rawValue), flags) == 0
    }
    if isFourInk {
      raw.resize(to: Int(width) * Int(height) * 4)
      guard decompress(&raw) else { throw jpegError() }
      convertInks(pixels: Int(width) * Int(height), isInverted: isAdobe, into: &image.pixels)
    } else {
      guard decompress(&image.pixels) else { throw jpegError() }
    }
  }

  /// Naive ink model: R = (1 - C)(1 - K). Adobe's files store 255 - ink.
  private func convertInks(pixels: Int, isInverted: Bool, into target: inout [UInt8]) {
    let flip: UInt8 = isInverted ? 0 : 255
    raw.withUnsafeBufferPointer { inks in
      target.withUnsafeMutableBufferPointer { rgb in
        for i in 0..<pixels {
          let light = Int(inks[4 * i + 3] ^ flip)
          for c in 0..<3 { rgb[3 * i + c] = UInt8((Int(inks[4 * i + c] ^ flip) * light + 127) / 255) }
        }
      }
    }
  }

  /// What libjpeg-turbo says went wrong. A decompressor that stopped inside a header would go on there with the next
  /// file, so a new one takes its place.
  private func jpegError() -> ImageError {
    let error = ImageError(description: "damaged JPEG (\(String(cString: tjGetErrorStr2(jpeg))))")
    tjDestroy(jpeg)
    jpeg = Self.makeDecompressor()
    return error
  }

  private static func makeDecompressor() -> tjhandle {
    guard let handle = tjInitDecompress() else {
      fatalError("libjpeg-turbo has no memory for a decompressor")
    }
    return handle
  }

  // MARK: - PNG

  private func decodePNG(_ bytes: UnsafeRawBufferPointer, into image: inout RGBImage) throws(ImageError) {
    var png = png_image()
    png.version = png_uint_32(PNG_IMAGE_VERSION)
    defer { png_image_free(&png) }
    guard png_image_begin_read_from_memory(&png, bytes.baseAddress, bytes.count) != 0 else {
      throw pngError(png)
    }
    let width = Int(png.width), height = Int(png.height)
    try Self.check(width: width, height: height)
    // Without this flag libpng takes 16-bit values to be linear.
    png.flags |= png_uint_32(PNG_IMAGE_FLAG_16BIT_sRGB)
    let hasAlpha = png.format & png_uint_32(PNG_FORMAT_FLAG_ALPHA) != 0
    png.format = png_uint_32(PNG_FORMAT_FLAG_COLOR | (hasAlpha ? PNG_FORMAT_FLAG_ALPHA : 0))
    image.reshape(width: width, height: height)
    if hasAlpha {
      raw.resize(to: width * height * 4)
      guard png_image_finish_read(&png, nil, &raw, 0, nil) != 0 else { throw pngError(png) }
      compositeOnWhite(pixels: width * height, into: &image.pixels)
    } else {
      guard png_image_finish_read(&png, nil, &image.pixels, 0, nil) != 0 else { throw pngError(png) }
    }
  }

  /// Encoded values are mixed, as browsers do.
  private func compositeOnWhite(pixels: Int, into target: inout [UInt8]) {
    raw.withUnsafeBufferPointer { rgba in
      target.withUnsafeMutableBufferPointer { rgb in
        for i in 0..<pixels {
          let alpha = Int(rgba[4 * i + 3])
          for c in 0..<3 {
            rgb[3 * i + c] = UInt8((Int(rgba[4 * i + c]) * alpha + 255 * (255 - alpha) + 127) / 255)
          }
        }
      }
    }
  }

  private func pngError(_ png: png_image) -> ImageError {
    let message = withUnsafeBytes(of: png.message) {
      String(cString: $0.baseAddress!.assumingMemoryBound(to: CChar.self))
    }
    return ImageError(description: "damaged PNG (\(message))")
  }

  // MARK: - Both

  private static func check(width: Int, height: Int) throws(ImageError) {
    guard width > 0 && height > 0 else {
      throw ImageError(description: "no pixels: \(width) x \(height)")
    }
    guard width <= maximumPixels / height else {
      throw ImageError(description: "too large: \(width) x \(height), at most \(maximumPixels) pixels")
    }
  }

  /// What other kind of file it may be, so that its owner need not open it.
  private static func guess(_ bytes: UnsafeRawBufferPointer) -> String {
    func begins(_ text: String) -> Bool { bytes.starts(with: text.utf8) }
    if begins("GIF8") { return "GIF" }
    if begins("RIFF") && bytes.dropFirst(8).starts(with: "WEBP".utf8) { return "WebP" }
    if begins("BM") { return "BMP" }
    if begins("II*\0") || begins("MM\0*") { return "TIFF" }
    if bytes.dropFirst(4).starts(with: "ftyp".utf8) { return "HEIF or AVIF" }
    if bytes.allSatisfy({ $0 == 0 }) { return "zeros" }
    let isText = bytes.prefix(512).allSatisfy { $0 >= 0x20 || (0x09...0x0D).contains($0) }
    return isText ? "text" : "something else"
  }
}
