import Foundation

/// The safetensors file format: u64 little-endian header length, a JSON header
/// {name: {dtype, shape, data_offsets}, "__metadata__": {…}}, then the values, little-endian.
public enum SafeTensors {
  /// Longest header that is read, as in the format's own library.
  static let longestHeader = 100_000_000

  /// True if a file may be of this format: the JSON object of its header begins after eight bytes.
  static func mayBe(_ contents: Data) -> Bool { contents.count > 8 && contents[8] == UInt8(ascii: "{") }

  /// One tensor of a file that is being written; `fill` writes its values, row-major, when their turn comes.
  public struct Entry {
    let name: String
    let type: ElementType
    let shape: [Int]
    let fill: (UnsafeMutableRawBufferPointer) throws(WeightsError) -> Void

    /// A tensor of `shape` whose bytes `fill` provides.
    public init(
      _ name: String, _ type: ElementType, shape: [Int],
      fill: @escaping (UnsafeMutableRawBufferPointer) throws(WeightsError) -> Void
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
  /// - Throws: `WeightsError.cannotWrite` (disk full, read-only, …), or what an entry's `fill` throws; the file may then
  ///   be incomplete.
  @discardableResult
  public static func write(_ entries: [Entry], metadata: [String: String], to path: String)
    throws(WeightsError) -> String
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
    try withUnsafeBytes(of: UInt64(json.count).littleEndian) { (b) throws(WeightsError) in
      try file.append(b)
    }
    try file.append(Array(json))
    for entry in entries {
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: max(entry.byteCount, 1), alignment: 64)
      defer { bytes.deallocate() }
      try entry.fill(UnsafeMutableRawBufferPointer(rebasing: bytes[0..<entry.byteCount]))
      try file.append(UnsafeRawBufferPointer(rebasing: bytes[0..<entry.byteCount]))
    }
    return try file.close()
  }

  /// A file mapped into memory, its header validated; values are read on demand.
  public struct Reader {
    /// Tensors by name.
    public let tensors: [String: StoredTensor]
    /// Names in the order of the values in the file.
    public let names: [String]
    /// The "__metadata__" of the file.
    public let metadata: [String: String]
    private let path: String

    /// Opens `path` and validates it: every byte of the values belongs to exactly one tensor.
    ///
    /// - Throws: `WeightsError.missing`, `.cannotRead`, or `.damaged` with what is wrong.
    public init(path: String) throws(WeightsError) {
      self.path = path
      let contents = try mapFile(path)
      guard contents.count >= 8 else {
        throw .damaged(path: path, reason: "\(contents.count) bytes; the header alone takes 8")
      }
      let headerLength = contents.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
      guard headerLength <= SafeTensors.longestHeader, Int(headerLength) + 8 <= contents.count else {
        throw .damaged(
          path: path, reason: "the header claims \(headerLength) bytes in a file of \(contents.count)")
      }
      let start = 8 + Int(headerLength)
      let header: SafeTensorsHeader
      do throws(SafeTensorsHeader.Fault) {
        header = try SafeTensorsHeader([UInt8](contents[8..<start]))
      } catch {
        throw .damaged(path: path, reason: error.reason)
      }
      var tensors: [String: StoredTensor] = [:]
      var names: [String] = []
      var end = 0
      // An empty tensor may share its place with the one after it.
      for entry in header.entries.sorted(by: {
        ($0.offsets.lowerBound, $0.offsets.upperBound) < ($1.offsets.lowerBound, $1.offsets.upperBound)
      }) {
        let name = quoted(entry.name)
        guard let type = ElementType(rawValue: entry.type) else {
          let known = ElementType.allCases.map(\.rawValue).joined(separator: ", ")
          throw .unsupported(
            path: path, reason: "'\(name)' holds \(quoted(entry.type)); \(known) are understood")
        }
        guard let byteCount = checkedProduct(entry.shape + [type.byteCount]) else {
          throw .damaged(path: path, reason: "the shape of '\(name)' is impossible")
        }
        guard entry.offsets.count == byteCount, entry.offsets.upperBound <= contents.count - start else {
          throw .damaged(
            path: path,
            reason: "'\(name)' claims bytes \(entry.offsets) of \(contents.count - start); "
              + "its shape \(entry.shape) needs \(byteCount)")
        }
        guard entry.offsets.lowerBound == end else {
          throw .damaged(
            path: path, reason: "'\(name)' begins at byte \(entry.offsets.lowerBound), not at \(end)")
        }
        end = entry.offsets.upperBound
        let range = start + entry.offsets.lowerBound..<start + end
        tensors[entry.name] = StoredTensor(
          entry.name, type, shape: entry.shape, MappedStorage(contents, range), path: path)
        names.append(entry.name)
      }
      guard end == contents.count - start else {
        throw .damaged(path: path, reason: "\(contents.count - start - end) bytes belong to no tensor")
      }
      self.tensors = tensors
      self.names = names
      metadata = header.metadata
    }

    /// The values of a tensor as Float, row-major.
    ///
    /// - Throws: `WeightsError.damaged` if there is no such tensor.
    public func floats(_ name: String) throws(WeightsError) -> [Float] { try tensor(name).floats() }

    /// The values of a tensor as Double, row-major.
    ///
    /// - Throws: `WeightsError.damaged` if there is no such tensor.
    public func doubles(_ name: String) throws(WeightsError) -> [Double] { try tensor(name).doubles() }

    private func tensor(_ name: String) throws(WeightsError) -> StoredTensor {
      guard let tensor = tensors[name] else {
        throw .damaged(path: path, reason: "it holds no tensor '\(quoted(name))'")
      }
      return tensor
    }
  }
}
