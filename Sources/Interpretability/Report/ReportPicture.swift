import Datasets
import Foundation

/// A small picture inside a page.
public struct ReportPicture: Codable, Sendable, Equatable {
  /// A PNG or JPEG file.
  public var data: Data
  /// Extent in pixels.
  public var width: Int, height: Int
  /// What it shows, for those who do not see it.
  public var description: String

  /// A PNG or JPEG file as it is; traps for other bytes.
  public init(data: Data, width: Int, height: Int, description: String) {
    precondition(
      Self.mediaType(data) != nil && width > 0 && height > 0,
      "ReportPicture: \(data.count) bytes, expected PNG or JPEG; \(width) x \(height)")
    self.data = data
    self.width = width
    self.height = height
    self.description = description
  }

  /// A photograph, reduced until no side is longer than `longestSide` and written as JPEG: 112 pixels take about 4 KB.
  public init(photograph image: RGBImage, longestSide: Int = 112, quality: Int = 80, description: String) {
    let scale = min(1, Double(longestSide) / Double(max(image.width, image.height)))
    let width = max(1, Int((Double(image.width) * scale).rounded()))
    let height = max(1, Int((Double(image.height) * scale).rounded()))
    let pixels =
      width == image.width && height == image.height
      ? image.pixels : ImageResizer().resized(image, width: width, height: height)
    self.init(
      data: Data(JPEGEncoder.encode(pixels, width: width, height: height, quality: quality)), width: width,
      height: height, description: description)
  }

  /// The whole picture as a URL.
  var url: String { "data:\(Self.mediaType(data) ?? "");base64,\(data.base64EncodedString())" }

  private static func mediaType(_ data: Data) -> String? {
    if data.starts(with: [0x89, 0x50, 0x4e, 0x47]) { return "image/png" }
    if data.starts(with: [0xff, 0xd8, 0xff]) { return "image/jpeg" }
    return nil
  }
}

extension ImageResizer {
  /// `image` as [height, width, 3] bytes, rounded.
  func resized(_ image: RGBImage, width: Int, height: Int) -> [UInt8] {
    var values = [Float](repeating: 0, count: width * height * 3)
    values.withUnsafeMutableBufferPointer { buffer in
      guard let pointer = buffer.baseAddress else { return }
      resize(image, width: width, height: height, into: pointer)
    }
    return values.map { UInt8(min(max($0, 0), 255) + 0.5) }
  }
}
