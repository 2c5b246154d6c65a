import CTurboJPEG
import Foundation

@testable import Datasets

/// A folder that is gone when the test ends.
final class TemporaryFolder {
  let path: String

  init() {
    path = NSTemporaryDirectory() + "icnn-datasets-" + UUID().uuidString
    try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes a file below the folder, creating the folders between.
  func write(_ name: String, _ bytes: [UInt8]) {
    let file = path + "/" + name
    try! FileManager.default.createDirectory(
      atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try! Data(bytes).write(to: URL(fileURLWithPath: file))
  }

  func write(_ name: String, _ text: String) { write(name, Array(text.utf8)) }

  func remove(_ name: String) { try! FileManager.default.removeItem(atPath: path + "/" + name) }

  func read(_ name: String) -> [UInt8] {
    Array(FileManager.default.contents(atPath: path + "/" + name)!)
  }
}

/// An image whose every value depends on the place and on `variant`.
func patternImage(width: Int, height: Int, variant: Int = 0) -> RGBImage {
  var image = RGBImage(width: width, height: height)
  for y in 0..<height {
    for x in 0..<width {
      for c in 0..<3 {
        image.pixels[(y * width + x) * 3 + c] = UInt8((x * 7 + y * 13 + c * 50 + variant * 31 + x * y) % 256)
      }
    }
  }
  return image
}

/// An image of one colour.
func plainImage(width: Int, height: Int, _ color: [UInt8]) -> RGBImage {
  var image = RGBImage(width: width, height: height)
  for i in image.pixels.indices { image.pixels[i] = color[i % 3] }
  return image
}

/// Encodes interleaved values [height, width, channels] in a TurboJPEG pixel format; CMYK becomes YCCK with the Adobe
/// marker.
func encodeJPEG(
  _ values: [UInt8], width: Int, height: Int, format: TJPF = TJPF_RGB, subsampling: TJSAMP = TJSAMP_444,
  quality: Int32 = 95, isProgressive: Bool = false
) -> [UInt8] {
  let encoder = tjInitCompress()
  defer { tjDestroy(encoder) }
  var bytes: UnsafeMutablePointer<UInt8>?
  var length: UInt = 0
  let code = tjCompress2(
    encoder, values, Int32(width), 0, Int32(height), Int32(format.rawValue), &bytes, &length,
    Int32(subsampling.rawValue), quality, isProgressive ? TJFLAG_PROGRESSIVE : 0)
  precondition(code == 0, String(cString: tjGetErrorStr2(encoder)))
  defer { tjFree(bytes) }
  return Array(UnsafeBufferPointer(start: bytes, count: Int(length)))
}

func encodeJPEG(_ image: RGBImage, quality: Int32 = 95) -> [UInt8] {
  encodeJPEG(image.pixels, width: image.width, height: image.height, quality: quality)
}

/// Writes a data set of PNG images with `count` images for each class, each of its own content and extent.
func writeClasses(
  _ folder: TemporaryFolder, _ classes: [(name: String, count: Int)], prefix: String = "images/"
) {
  for (index, item) in classes.enumerated() {
    for i in 1...item.count {
      let image = patternImage(width: 9 + i % 5, height: 8 + i % 3, variant: index * 100 + i)
      folder.write(prefix + "\(item.name)/\(String(format: "%03d", i)).png", PNGEncoder.encode(image))
    }
  }
}

/// Runs `body` and returns the `DatasetError` it throws, if it throws one.
func datasetError(_ body: () throws -> Void) -> DatasetError? {
  do {
    try body()
    return nil
  } catch { return error as? DatasetError }
}
