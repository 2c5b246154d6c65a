import CTurboJPEG
import Testing

@testable import Datasets

@Suite struct ImageDecoderTests {
  let decoder = ImageDecoder()

  /// Largest difference between two images of the same extent.
  func difference(_ a: RGBImage, _ b: RGBImage) -> Int {
    guard a.width == b.width && a.height == b.height else { return .max }
    return zip(a.pixels, b.pixels).map { abs(Int($0) - Int($1)) }.max()!
  }

  func reason(_ bytes: [UInt8]) -> String? {
    do throws(ImageError) {
      _ = try decoder.decode(bytes)
      return nil
    } catch { return error.description }
  }

  /// Smooth, so that JPEG keeps it.
  func smoothImage(width: Int, height: Int) -> RGBImage {
    var image = RGBImage(width: width, height: height)
    for y in 0..<height {
      for x in 0..<width {
        let i = (y * width + x) * 3
        image.pixels[i] = UInt8(40 + x * 150 / width)
        image.pixels[i + 1] = UInt8(220 - y * 150 / height)
        image.pixels[i + 2] = UInt8(90 + (x + y) * 60 / (width + height))
      }
    }
    return image
  }

  // MARK: - JPEG

  @Test(arguments: [false, true]) func jpegColor(isProgressive: Bool) throws {
    let image = smoothImage(width: 37, height: 21)
    let bytes = encodeJPEG(image.pixels, width: 37, height: 21, isProgressive: isProgressive)
    #expect(bytes.contains(0xC2) || !isProgressive)
    #expect(difference(try decoder.decode(bytes), image) <= 6)
  }

  @Test func jpegGrey() throws {
    let values = (0..<(16 * 9)).map { UInt8(30 + $0) }
    let bytes = encodeJPEG(values, width: 16, height: 9, format: TJPF_GRAY, subsampling: TJSAMP_GRAY)
    var expected = RGBImage(width: 16, height: 9)
    expected.pixels = values.flatMap { [$0, $0, $0] }
    #expect(difference(try decoder.decode(bytes), expected) <= 4)
  }

  /// Adobe's inks are stored inverted: 255 is no ink. TurboJPEG hands the stored values over unchanged.
  @Test func jpegInvertedInks() throws {
    let stored: [UInt8] = [240, 60, 200, 210]
    let inks = (0..<256).flatMap { _ in stored }
    let ycck = encodeJPEG(inks, width: 16, height: 16, format: TJPF_CMYK)
    let expected = plainImage(width: 16, height: 16, stored.prefix(3).map { UInt8(Int($0) * 210 / 255) })
    #expect(difference(try decoder.decode(ycck), expected) <= 4)

    // The same file called CMYK: the stored numbers are now (Y, Cb, Cr, K) of the above.
    let marker = try #require(firstIndex(of: Array("Adobe".utf8), in: ycck))
    var cmyk = ycck
    #expect(cmyk[marker + 11] == 2)
    cmyk[marker + 11] = 0
    let red = 255.0 - 240, green = 255.0 - 60, blue = 255.0 - 200
    let luma = 0.299 * red + 0.587 * green + 0.114 * blue
    let stored2 = [luma, 128 + (blue - luma) * 0.564, 128 + (red - luma) * 0.713]
    let expected2 = plainImage(width: 16, height: 16, stored2.map { UInt8($0 * 210 / 255) })
    #expect(difference(try decoder.decode(cmyk), expected2) <= 4)

    // And without Adobe's marker: plain CMYK, where 255 is full ink.
    var plain = ycck
    plain.removeSubrange((marker - 4)..<(marker + 12))
    let expected3 = plainImage(width: 16, height: 16, stored2.map { UInt8((255 - $0) * 45 / 255) })
    #expect(difference(try decoder.decode(plain), expected3) <= 4)
  }

  // MARK: - PNG

  @Test func pngColor() throws {
    let image = patternImage(width: 11, height: 7)
    let fixture = PNGFixture(
      width: 11, height: 7, bitDepth: 8, colorType: .rgb, samples: image.pixels.map { Int($0) })
    #expect(try decoder.decode(fixture.bytes()) == image)
    #expect(try decoder.decode(PNGEncoder.encode(image)) == image)
  }

  @Test(arguments: [(1, 9), (5, 3), (13, 11)]) func pngInterlaced(width: Int, height: Int) throws {
    let image = patternImage(width: width, height: height)
    let fixture = PNGFixture(
      width: width, height: height, bitDepth: 8, colorType: .rgb, samples: image.pixels.map { Int($0) },
      isInterlaced: true)
    #expect(try decoder.decode(fixture.bytes()) == image)
  }

  @Test(arguments: [1, 2, 4, 8]) func pngGrey(bitDepth: Int) throws {
    let top = 1 << bitDepth
    let samples = (0..<35).map { $0 * 5 % top }
    let fixture = PNGFixture(width: 7, height: 5, bitDepth: bitDepth, colorType: .grey, samples: samples)
    let expected = samples.flatMap { value in [UInt8](repeating: UInt8(value * 255 / (top - 1)), count: 3) }
    #expect(try decoder.decode(fixture.bytes()).pixels == expected)
  }

  /// 16-bit values are encoded like 8-bit ones; taken as linear, 0x4000 would come out as 137.
  @Test func png16Bit() throws {
    let samples = [0, 0x4000, 0x8080, 0xC0C0, 0xFFFF, 0x2000]
    let fixture = PNGFixture(width: 2, height: 1, bitDepth: 16, colorType: .rgb, samples: samples)
    let pixels = try decoder.decode(fixture.bytes()).pixels
    #expect(zip(pixels, [0, 64, 128, 192, 255, 32]).allSatisfy { abs(Int($0) - $1) <= 1 })
  }

  @Test func pngPaletteWithTransparentEntry() throws {
    var fixture = PNGFixture(width: 4, height: 1, bitDepth: 2, colorType: .palette, samples: [2, 0, 1, 2])
    fixture.chunks = [("PLTE", [10, 20, 30, 200, 100, 50, 0, 0, 0]), ("tRNS", [255, 255, 0])]
    #expect(
      try decoder.decode(fixture.bytes()).pixels == [255, 255, 255, 10, 20, 30, 200, 100, 50, 255, 255, 255])
  }

  @Test func pngAlphaIsCompositedOnWhite() throws {
    let fixture = PNGFixture(
      width: 3, height: 1, bitDepth: 8, colorType: .rgba,
      samples: [100, 50, 0, 255, 100, 50, 0, 0, 100, 50, 0, 51])
    // 51/255 = 0.2: 0.2 · 100 + 0.8 · 255 = 224.
    #expect(try decoder.decode(fixture.bytes()).pixels == [100, 50, 0, 255, 255, 255, 224, 214, 204])
    let grey = PNGFixture(
      width: 2, height: 1, bitDepth: 8, colorType: .greyAlpha, samples: [100, 51, 7, 255])
    #expect(try decoder.decode(grey.bytes()).pixels == [224, 224, 224, 7, 7, 7])
  }

  // MARK: - Both

  @Test func onePixelIsAnImage() throws {
    let color: [UInt8] = [10, 200, 60]
    #expect(try decoder.decode(PNGEncoder.encode(plainImage(width: 1, height: 1, color))).pixels == color)
    let jpeg = try decoder.decode(encodeJPEG(plainImage(width: 1, height: 1, color)))
    #expect(difference(jpeg, plainImage(width: 1, height: 1, color)) <= 4)
  }

  @Test func buffersMayShrinkAndGrow() throws {
    var image = RGBImage(width: 1, height: 1)
    for (width, height) in [(9, 9), (2, 3), (12, 4)] {
      let expected = patternImage(width: width, height: height)
      try decoder.decode(PNGEncoder.encode(expected), into: &image)
      #expect(image == expected)
    }
  }

  // MARK: - Damage

  @Test func everyTruncationOfAJPEGIsFound() {
    let bytes = encodeJPEG(patternImage(width: 24, height: 24), quality: 80)
    // The last two bytes are the end marker; without it libjpeg only warns.
    for length in stride(from: 0, to: bytes.count - 1, by: 7) + [bytes.count - 2, bytes.count - 1] {
      #expect(reason(Array(bytes.prefix(length))) != nil, "\(length) of \(bytes.count) bytes")
    }
    #expect(reason(bytes) == nil)
  }

  @Test func everyTruncationOfAPNGIsFound() {
    let bytes = PNGEncoder.encode(patternImage(width: 24, height: 24))
    for length in stride(from: 0, to: bytes.count - 16, by: 11) {
      #expect(reason(Array(bytes.prefix(length))) != nil, "\(length) of \(bytes.count) bytes")
    }
    #expect(reason(bytes) == nil)
  }

  @Test func aFlippedBitInPNGDataIsFound() throws {
    var bytes = PNGEncoder.encode(patternImage(width: 24, height: 24))
    let data = try #require(firstIndex(of: Array("IDAT".utf8), in: bytes))
    bytes[data + 40] ^= 0x10
    #expect(reason(bytes)?.hasPrefix("damaged PNG") == true)
  }

  @Test(arguments: [
    ("", "the file is empty"), ("GIF89a", "GIF"), ("hello, I am no picture\n", "text"),
    ("RIFF0000WEBPVP8 ", "WebP"), ("\0\0\0\0\0\0", "zeros"), ("\u{1}\u{2}\u{3}\u{4}", "something else"),
  ]) func otherFilesAreNamed(content: String, expected: String) throws {
    #expect(try #require(reason(Array(content.utf8))).contains(expected))
  }

  @Test func hugeAndEmptyExtentsAreRefused() throws {
    var huge = PNGFixture(width: 1, height: 1, bitDepth: 8, colorType: .grey, samples: [0])
    let tail = huge.bytes().suffix(from: 33)
    func header(_ width: Int, _ height: Int) -> [UInt8] {
      huge.width = width
      huge.height = height
      let size = [width, height].flatMap { value in (0..<4).map { UInt8(value >> (24 - 8 * $0) & 0xFF) } }
      return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
        + PNGFixture.chunk("IHDR", size + [8, 0, 0, 0, 0])
        + tail
    }
    #expect(try #require(reason(header(60_000, 60_000))).contains("too large: 60000 x 60000"))
    #expect(reason(header(0, 5)) != nil)
    #expect(reason(header(1, 1)) == nil)
    var jpeg = encodeJPEG(plainImage(width: 8, height: 8, [1, 2, 3]))
    let frame = try #require(firstIndex(of: [0xFF, 0xC0], in: jpeg))
    jpeg.replaceSubrange((frame + 5)..<(frame + 9), with: [0xFF, 0x00, 0xFF, 0x00])
    #expect(try #require(reason(jpeg)).contains("too large: 65280 x 65280"))
    jpeg.replaceSubrange((frame + 5)..<(frame + 9), with: [0, 0, 0, 8])
    #expect(reason(jpeg) != nil)
  }

  @Test func damageDoesNotSpoilTheNextImage() throws {
    let image = patternImage(width: 10, height: 10)
    let jpeg = encodeJPEG(image)
    for length in [jpeg.count - 50, 100, 30] { #expect(reason(Array(jpeg.prefix(length))) != nil) }
    #expect(difference(try decoder.decode(encodeJPEG(image, quality: 100)), image) <= 4)
    #expect(try decoder.decode(PNGEncoder.encode(image)) == image)
  }
}

/// Where `pattern` first occurs.
func firstIndex(of pattern: [UInt8], in bytes: [UInt8]) -> Int? {
  (0...max(0, bytes.count - pattern.count)).first { bytes[$0...].starts(with: pattern) }
}

private func + (lengths: StrideTo<Int>, more: [Int]) -> [Int] { Array(lengths) + more }
