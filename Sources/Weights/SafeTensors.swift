import CXXHash
import Foundation
import Glibc

/// The safetensors file format: u64 little-endian header length, a JSON header
/// {name: {dtype, shape, data_offsets}, "__metadata__": {…}}, then the values, little-endian.
public enum SafeTensors {
  /// Element types that this project writes.
  public enum ElementType: String, Sendable {
    case float32 = "F32"
    case float64 = "F64"

    /// Bytes of one element.
    public var byteCount: Int { self == .float32 ? 4 : 8 }
  }

  /// One tensor of a file that is being written; `fill` writes its values, row-major, when their turn comes.
  public struct Entry {
    let name: String
    let type: ElementType
    let shape: [Int]
    let fill: (UnsafeMutableRawBufferPointer) -> Void

    /// A tensor of `shape` whose bytes `fill` provides.
    public init(
      _ name: String, _ type: ElementType, shape: [Int],
      fill: @escaping (UnsafeMutableRawBufferPointer) -> Void
    ) {
      self.name = name
      self.type = type
      self.shape = shape
      self.fill = fill
    }

    var byteCount: Int { shape.reduce(type.byteCount, *) }
  }

  /// Writes the entries in their order to `path`, synced to disk, and returns the file's XXH128 as hex.
  ///
  /// - Throws: `CheckpointError.cannotWrite` (disk full, read-only, …); the file may then be incomplete.
  public static func write(_ entries: [Entry], metadata: [String: String], to path: String)
    throws(CheckpointError) -> String
  {
    var header: [String: Any] = ["__metadata__": metadata]
    var offset = 0
    for entry in entries {
      header[entry.name] = [
        "dtype": entry.type.rawValue, "shape": entry.shape,
        "data_offsets": [offset, offset + entry.byteCount],
      ]
      offset += entry.byteCount
    }
    guard var json = try? JSONSerialization.data(withJSONObject: header, options: [.sortedKeys]) else {
      throw .cannotWrite(path: path, reason: "the header of the file cannot be encoded")
    }
    // Readers expect the values to start at a multiple of 8 bytes; trailing blanks are allowed.
    json.append(contentsOf: [UInt8](repeating: 0x20, count: (8 - json.count % 8) % 8))
    var file = try ChecksummedFile(path: path)
    try withUnsafeBytes(of: UInt64(json.count).littleEndian) { (b) throws(CheckpointError) in
      try file.append(b)
    }
    try file.append(Array(json))
    for entry in entries {
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: max(entry.byteCount, 1), alignment: 64)
      defer { bytes.deallocate() }
      entry.fill(UnsafeMutableRawBufferPointer(rebasing: bytes[0..<entry.byteCount]))
      try file.append(UnsafeRawBufferPointer(rebasing: bytes[0..<entry.byteCount]))
    }
    return try file.close()
  }

  /// A file mapped into memory, its header validated; values are read on demand.
  public final class Reader {
    /// Where a tensor lies.
    public struct Location: Sendable {
      /// Element type.
      public let type: ElementType
      /// Row-major shape.
      public let shape: [Int]
      fileprivate let range: Range<Int>
    }

    /// Tensors by name.
    public let tensors: [String: Location]
    /// The "__metadata__" of the file.
    public let metadata: [String: String]
    private let contents: Data
    private let path: String

    /// Opens and validates `path`.
    /// - Throws: `CheckpointError.missing`, or `.damaged` with what is wrong.
    public init(path: String) throws(CheckpointError) {
      self.path = path
      guard FileManager.default.fileExists(atPath: path) else { throw .missing(path: path) }
      guard let contents = try? Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped) else {
        throw .cannotRead(path: path, reason: "the file cannot be opened")
      }
      self.contents = contents
      guard contents.count >= 8 else {
        throw .damaged(path: path, reason: "\(contents.count) bytes; the header alone takes 8")
      }
      let headerLength = contents.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
      guard headerLength <= 100 << 20, Int(headerLength) + 8 <= contents.count else {
        throw .damaged(
          path: path, reason: "the header claims \(headerLength) bytes in a file of \(contents.count)")
      }
      let start = 8 + Int(headerLength)
      guard let json = try? JSONSerialization.jsonObject(with: contents[8..<start]) as? [String: Any] else {
        throw .damaged(path: path, reason: "the header is no JSON object")
      }
      var tensors: [String: Location] = [:]
      var metadata: [String: String] = [:]
      for (name, value) in json {
        if name == "__metadata__" {
          metadata = value as? [String: String] ?? [:]
          continue
        }
        guard let entry = value as? [String: Any], let dtype = entry["dtype"] as? String,
          let shape = entry["shape"] as? [Int], let offsets = entry["data_offsets"] as? [Int],
          offsets.count == 2, shape.allSatisfy({ $0 >= 0 })
        else { throw .damaged(path: path, reason: "the header entry of '\(name)' is malformed") }
        guard let type = ElementType(rawValue: dtype) else {
          throw .damaged(path: path, reason: "'\(name)' holds \(dtype); F32 and F64 are understood")
        }
        var byteCount = type.byteCount
        for extent in shape {
          let (product, overflow) = byteCount.multipliedReportingOverflow(by: extent)
          guard !overflow else { throw .damaged(path: path, reason: "the shape of '\(name)' is impossible") }
          byteCount = product
        }
        guard offsets[0] >= 0, offsets[1] >= offsets[0], offsets[1] - offsets[0] == byteCount,
          offsets[1] <= contents.count - start
        else {
          throw .damaged(
            path: path,
            reason: "'\(name)' claims bytes \(offsets) of \(contents.count - start); "
              + "its shape \(shape) needs \(byteCount)")
        }
        tensors[name] = Location(type: type, shape: shape, range: start + offsets[0]..<start + offsets[1])
      }
      self.tensors = tensors
      self.metadata = metadata
    }

    /// The values of a tensor as Float, row-major.
    public func floats(_ name: String) throws(CheckpointError) -> [Float] {
      if let floats = try values(name, as: Float.self, .float32) { return floats }
      return (try values(name, as: Double.self, .float64) ?? []).map(Float.init)
    }

    /// The values of a tensor as Double, row-major.
    public func doubles(_ name: String) throws(CheckpointError) -> [Double] {
      if let doubles = try values(name, as: Double.self, .float64) { return doubles }
      return (try values(name, as: Float.self, .float32) ?? []).map(Double.init)
    }

    private func values<T: BitwiseCopyable>(_ name: String, as: T.Type, _ type: ElementType)
      throws(CheckpointError) -> [T]?
    {
      guard let location = tensors[name] else {
        throw .damaged(path: path, reason: "it holds no tensor '\(name)'")
      }
      guard location.type == type else { return nil }
      let count = location.range.count / MemoryLayout<T>.stride
      return [T](unsafeUninitializedCapacity: count) { buffer, initialized in
        contents.withUnsafeBytes { bytes in
          if count > 0 {
            memcpy(buffer.baseAddress!, bytes.baseAddress! + location.range.lowerBound, location.range.count)
          }
        }
        initialized = count
      }
    }
  }
}
