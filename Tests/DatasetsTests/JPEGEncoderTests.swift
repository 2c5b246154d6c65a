import Datasets
import Testing

@Suite("JPEG encoder") struct JPEGEncoderTests {
  /// A smooth picture: red grows to the right, green downwards.
  private func gradient(width: Int, height: Int) -> [UInt8] {
    var pixels: [UInt8] = []
    for y in 0..<height {
      for x in 0..<width {
        pixels += [UInt8(x * 255 / max(width - 1, 1)), UInt8(y * 255 / max(height - 1, 1)), 60]
      }
    }
    return pixels
  }

  @Test("decodes to nearly the same pixels", arguments: [(64, 48), (1, 1), (17, 33)])
  func roundTrip(_ width: Int, _ height: Int) throws {
    let pixels = gradient(width: width, height: height)
    let image = try ImageDecoder().decode(
      JPEGEncoder.encode(pixels, width: width, height: height, quality: 95))
    #expect(image.width == width && image.height == height)
    let errors = zip(image.pixels, pixels).map { abs(Int($0) - Int($1)) }
    #expect(errors.max()! <= 24 && Double(errors.reduce(0, +)) / Double(errors.count) < 4)
  }

  @Test("lower quality, fewer bytes; equal pixels, equal bytes")
  func quality() {
    let pixels = gradient(width: 96, height: 96)
    let sizes = [20, 80, 100].map { JPEGEncoder.encode(pixels, width: 96, height: 96, quality: $0).count }
    #expect(sizes == sizes.sorted() && sizes[0] < sizes[2])
    #expect(
      JPEGEncoder.encode(pixels, width: 96, height: 96) == JPEGEncoder.encode(pixels, width: 96, height: 96))
  }
}
