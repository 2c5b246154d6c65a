import Datasets

/// Reads images as a network sees them: resized to a square, the centre window cut, but in colours for people.
public final class FramedImage {
  private let frame: InputFrame
  private let decoder = ImageDecoder()
  private let resizer = ImageResizer()
  private var original = RGBImage(width: 1, height: 1)
  private var resized: [Float]

  /// A reader of the frame's window.
  public init(_ frame: InputFrame) {
    self.frame = frame
    resized = [Float](repeating: 0, count: frame.resizedSide * frame.resizedSide * 3)
  }

  /// Extent of the image that was read last, in pixels.
  public var originalExtent: (width: Int, height: Int) { (original.width, original.height) }

  /// The window of a JPEG or PNG file, [side, side].
  ///
  /// - Throws: `ImageError` if it is no image.
  public func read(_ bytes: [UInt8]) throws(ImageError) -> RGBImage {
    try decoder.decode(bytes, into: &original)
    let side = frame.resizedSide
    resized.withUnsafeMutableBufferPointer {
      resizer.resize(original, width: side, height: side, into: $0.baseAddress!)
    }
    var image = RGBImage(width: frame.side, height: frame.side)
    for row in 0..<frame.side {
      for column in 0..<frame.side {
        let from = ((row + frame.offset) * side + column + frame.offset) * 3
        for channel in 0..<3 {
          image.pixels[(row * frame.side + column) * 3 + channel] = UInt8(
            min(max(resized[from + channel], 0), 255) + 0.5)
        }
      }
    }
    return image
  }
}
