import CPNG

/// 8-bit pixels → the bytes of a PNG file. Equal pixels give equal bytes.
public enum PNGEncoder {
  /// An sRGB image.
  public static func encode(_ image: RGBImage) -> [UInt8] {
    encode(image.pixels, width: image.width, height: image.height, channels: 3)
  }

  /// Interleaved 8-bit values [height, width, channels], sRGB encoded: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.
  public static func encode(_ values: [UInt8], width: Int, height: Int, channels: Int) -> [UInt8] {
    precondition(
      width > 0 && height > 0 && (1...4).contains(channels) && values.count == width * height * channels,
      "PNGEncoder: \(values.count) values for \(width) x \(height) x \(channels)")
    var png = png_image()
    png.version = png_uint_32(PNG_IMAGE_VERSION)
    png.width = png_uint_32(width)
    png.height = png_uint_32(height)
    png.format =
      png_uint_32(channels > 2 ? PNG_FORMAT_FLAG_COLOR : 0)
      | png_uint_32(channels % 2 == 0 ? PNG_FORMAT_FLAG_ALPHA : 0)
    defer { png_image_free(&png) }
    // The uncompressed size and some room for headers is always enough; libpng then tells the real length.
    var length = png_alloc_size_t(values.count + values.count / 100 + height + 4096)
    var bytes = [UInt8](repeating: 0, count: Int(length))
    let isWritten = png_image_write_to_memory(&png, &bytes, &length, 0, values, 0, nil)
    precondition(isWritten != 0, "PNGEncoder: libpng wrote nothing for \(width) x \(height) x \(channels)")
    bytes.removeLast(bytes.count - Int(length))
    return bytes
  }
}
