/// An image of 8-bit sRGB values.
public struct RGBImage: Sendable, Equatable {
  /// Extent in pixels.
  public internal(set) var width: Int, height: Int
  /// [height, width, 3] in the order R, G, B.
  public package(set) var pixels: [UInt8]

  /// A black image.
  public init(width: Int, height: Int) {
    precondition(width > 0 && height > 0, "RGBImage: empty extent \(width) x \(height)")
    self.width = width
    self.height = height
    pixels = [UInt8](repeating: 0, count: width * height * 3)
  }

  /// Changes the extent; the pixels are then undefined.
  mutating func reshape(width: Int, height: Int) {
    self.width = width
    self.height = height
    pixels.resize(to: width * height * 3)
  }
}

extension [UInt8] {
  /// Changes the length; the content is then undefined. Filling grown memory with zeros would cost as much as
  /// copying an image.
  mutating func resize(to count: Int) {
    if self.count != count { self = Array(unsafeUninitializedCapacity: count) { $1 = count } }
  }
}
