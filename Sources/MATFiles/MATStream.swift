import Glibc

/// The stream that cmat_reader.h describes, read from a pipe.
///
/// It comes from a process that may be out of its mind, so lengths are believed only as far as bytes arrive.
struct MATStream {
  /// Why there is no value.
  enum Failure: Error, Equatable {
    /// The stream ended too early or makes no sense.
    case broken
    /// More bytes than allowed.
    case tooLong
    /// libmatio's words.
    case refused(String)
    /// No variable of the name; there are these.
    case noVariable([String])
  }

  private let descriptor: Int32
  private var remaining: Int
  private var nodes = 0
  private var buffer = [UInt8](repeating: 0, count: 1 << 16)
  private var position = 0
  private var end = 0
  private static let maximumDepth = 33
  private static let maximumNodes = 1 << 24

  /// Reads at most `limit` bytes from `descriptor`.
  init(_ descriptor: Int32, limit: Int) {
    self.descriptor = descriptor
    remaining = limit
  }

  /// The variable.
  mutating func readVariable() throws(Failure) -> MATValue {
    let tag = try readByte()
    if tag == UInt8(ascii: "N") {
      var names: [String] = []
      for _ in 0..<min(try readUInt32(), 64) { names.append(try readText()) }
      throw .noVariable(names)
    }
    let value = try readNode(tag, depth: 0)
    switch try readByte() {
    case UInt8(ascii: "E"): return value
    case UInt8(ascii: "X"): throw .refused(try readText())
    default: throw .broken
    }
  }

  private mutating func readNode(_ tag: UInt8, depth: Int) throws(Failure) -> MATValue {
    nodes += 1
    guard depth <= Self.maximumDepth, nodes <= Self.maximumNodes else { throw .broken }
    if tag == UInt8(ascii: "X") { throw .refused(try readText()) }
    var extents: [Int] = []
    var count = 1
    for _ in 0..<(try readByte()) {
      guard let extent = Int(exactly: try readUInt64()) else { throw .broken }
      let (product, isOverflow) = count.multipliedReportingOverflow(by: extent)
      guard !isOverflow else { throw .broken }
      extents.append(extent)
      count = product
    }
    switch tag {
    case UInt8(ascii: "D"):
      return .numbers(MATNumbers(extents: extents, storage: .doubles(try readArray(count, 0))))
    case UInt8(ascii: "F"):
      return .numbers(MATNumbers(extents: extents, storage: .floats(try readArray(count, 0))))
    case UInt8(ascii: "B"):
      return .numbers(MATNumbers(extents: extents, storage: .bytes(try readArray(count, 0))))
    case UInt8(ascii: "L"):
      return .numbers(MATNumbers(extents: extents, storage: .logical(try readArray(count, 0))))
    case UInt8(ascii: "T"): return .text(try readCharacters())
    case UInt8(ascii: "S"):
      var names: [String] = []
      for _ in 0..<(try readUInt32()) { names.append(try readText()) }
      let (parts, isOverflow) = count.multipliedReportingOverflow(by: names.count)
      guard !isOverflow else { throw .broken }
      return .structure(
        MATStructure(extents: extents, fieldNames: names, values: try readNodes(parts, depth: depth)))
    case UInt8(ascii: "C"): return .cell(extents: extents, elements: try readNodes(count, depth: depth))
    case UInt8(ascii: "U"): return .unsupported(try readText())
    default: throw .broken
    }
  }

  private mutating func readNodes(_ count: Int, depth: Int) throws(Failure) -> [MATValue] {
    guard count <= Self.maximumNodes else { throw .broken }
    var values: [MATValue] = []
    for _ in 0..<count { values.append(try readNode(try readByte(), depth: depth + 1)) }
    return values
  }

  private mutating func readCharacters() throws(Failure) -> String {
    let unit = try readByte()
    guard let count = Int(exactly: try readUInt64()) else { throw .broken }
    switch unit {
    case 1: return String(decoding: try readArray(count, UInt8(0)), as: UTF8.self)
    case 2: return String(decoding: try readArray(count, UInt16(0)), as: UTF16.self)
    case 4: return String(decoding: try readArray(count, UInt32(0)), as: UTF32.self)
    default: throw .broken
    }
  }

  private mutating func readText() throws(Failure) -> String {
    String(decoding: try readArray(Int(try readUInt32()), UInt8(0)), as: UTF8.self)
  }

  // MARK: - Bytes

  /// Grows with what arrives: a length that is only claimed costs nothing.
  private mutating func readArray<T: BitwiseCopyable>(_ count: Int, _ zero: T) throws(Failure) -> [T] {
    let stride = MemoryLayout<T>.stride
    guard count <= remaining / stride else { throw .tooLong }
    var values: [T] = []
    while values.count < count {
      let first = values.count
      let part = min(count - first, (1 << 22) / stride)
      values.append(contentsOf: repeatElement(zero, count: part))
      let isComplete = values.withUnsafeMutableBytes { bytes in
        read(into: UnsafeMutableRawBufferPointer(rebasing: bytes[(first * stride)...]))
      }
      guard isComplete else { throw .broken }
    }
    return values
  }

  private mutating func readByte() throws(Failure) -> UInt8 { try readArray(1, UInt8(0))[0] }
  private mutating func readUInt32() throws(Failure) -> UInt32 { try readArray(1, UInt32(0))[0] }
  private mutating func readUInt64() throws(Failure) -> UInt64 { try readArray(1, UInt64(0))[0] }

  /// Fills `target`, no longer than what remains; false if the stream ends before.
  private mutating func read(into target: UnsafeMutableRawBufferPointer) -> Bool {
    remaining -= target.count
    var done = 0
    while done < target.count {
      if position == end {
        let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { return false }
        position = 0
        end = count
      }
      let part = min(target.count - done, end - position)
      buffer.withUnsafeBytes {
        (target.baseAddress! + done).copyMemory(from: $0.baseAddress! + position, byteCount: part)
      }
      position += part
      done += part
    }
    return true
  }
}
