import CTurboJPEG

/// 8-bit pixels → the bytes of a JPEG file. Equal pixels give equal bytes.
public enum JPEGEncoder {
  /// An sRGB image.
  public static func encode(_ image: RGBImage, quality: Int = 80) -> [UInt8] {
    encode(image.pixels, width: image.width, height: image.height, quality: quality)
  }

  /// Interleaved 8-bit values [height, width, 3], sRGB; colour at half the resolution. `quality` is 1...100.
  public static func encode(_ values: [UInt8], width: Int, height: Int, quality: Int = 80) -> [UInt8] {
    precondition(
      width > 0 && height > 0 && values.count == width * height * 3 && (1...100).contains(quality),
      "JPEGEncoder: \(values.count) values for \(width) x \(height) x 3, quality \(quality)")
    guard let handle = tjInitCompress() else { preconditionFailure("JPEGEncoder: \(message(nil))") }
    defer { tjDestroy(handle) }
    // As large as it can get, so that libjpeg-turbo need not allocate.
    var length = tjBufSize(Int32(width), Int32(height), Int32(TJSAMP_420.rawValue))
    return [UInt8](unsafeUninitializedCapacity: Int(length)) { buffer, count in
      var target = buffer.baseAddress
      let code = tjCompress2(
        handle, values, Int32(width), 0, Int32(height), Int32(TJPF_RGB.rawValue), &target, &length,
        Int32(TJSAMP_420.rawValue), Int32(quality), Int32(TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT))
      precondition(code == 0, "JPEGEncoder: \(message(handle)) for \(width) x \(height)")
      count = Int(length)
    }
  }

  private static func message(_ handle: tjhandle?) -> String { String(cString: tjGetErrorStr2(handle)) }
}
