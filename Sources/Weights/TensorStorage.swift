import Foundation
import Glibc

/// Bytes of a file that tensors are views of; read on demand.
protocol TensorStorage {
  /// Length.
  var byteCount: Int { get }
  /// The bytes of a range, which must lie within `byteCount`.
  func bytes(_ range: Range<Int>) throws(WeightsError) -> Data
}

/// A part of a file that is mapped into memory: nothing is copied.
struct MappedStorage: TensorStorage {
  private let contents: Data
  private let start: Int
  let byteCount: Int

  /// The bytes `range` of `contents`.
  init(_ contents: Data, _ range: Range<Int>) {
    self.contents = contents
    start = contents.startIndex + range.lowerBound
    byteCount = range.count
  }

  func bytes(_ range: Range<Int>) -> Data {
    contents[start + range.lowerBound..<start + range.upperBound]
  }
}

/// Values that were converted while a file was read.
struct MemoryStorage: TensorStorage {
  private let contents: Data
  var byteCount: Int { contents.count }

  /// Little-endian floats.
  init(_ values: [Float]) { contents = values.withUnsafeBytes { Data($0) } }

  /// Little-endian doubles.
  init(_ values: [Double]) { contents = values.withUnsafeBytes { Data($0) } }

  func bytes(_ range: Range<Int>) -> Data { contents[range] }
}

/// Maps a regular file into memory.
///
/// - Throws: `.missing`, or `.cannotRead` for a folder, a device, or a file without permission.
func mapFile(_ path: String) throws(WeightsError) -> Data {
  var status = stat()
  guard stat(path, &status) == 0 else { throw .missing(path: path) }
  guard status.st_mode & S_IFMT == S_IFREG else { throw .cannotRead(path: path, reason: "it is no file") }
  guard let contents = try? Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped) else {
    throw .cannotRead(path: path, reason: "it cannot be opened")
  }
  return contents
}
