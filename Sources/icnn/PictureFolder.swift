import Datasets
import Foundation
import Training

/// A folder that pictures are drawn into, each under a name of its own.
struct PictureFolder {
  private let path: String
  private var names: Set<String> = []

  /// Makes the folder if it is not there.
  init(_ path: String) throws {
    self.path = path
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw ExitError(code: 74, "cannot make the folder – \(path) – \(error.localizedDescription)")
    }
  }

  /// Writes NAME.png for an image file NAME.jpg; a second NAME becomes NAME-2.png.
  mutating func write(_ image: RGBImage, named file: String) throws {
    let stem = URL(fileURLWithPath: file).deletingPathExtension().lastPathComponent
    var name = stem
    var number = 2
    while !names.insert(name).inserted {
      name = "\(stem)-\(number)"
      number += 1
    }
    let target = "\(path)/\(name).png"
    do {
      try Data(PNGEncoder.encode(image)).write(to: URL(fileURLWithPath: target), options: .atomic)
    } catch {
      throw ExitError(code: 74, "cannot write – \(target) – \(error.localizedDescription)")
    }
  }
}
