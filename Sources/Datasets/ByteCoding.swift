/// Numbers and texts one after the other. Whole numbers take 7 bits a byte, the lowest first, as in protocol buffers;
/// floats are little-endian.
struct ByteWriter {
  private(set) var bytes: [UInt8] = []

  mutating func write(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  /// A count, not negative.
  mutating func write(_ count: Int) { write(UInt64(count)) }

  mutating func write(_ text: String) {
    write(text.utf8.count)
    bytes.append(contentsOf: text.utf8)
  }

  mutating func write(_ values: [Float]) {
    write(values.count)
    for value in values {
      withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
    }
  }

  /// Eight bytes, whatever the value.
  mutating func writeFixed(_ value: UInt64) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }
}

/// Reads what a `ByteWriter` has written, and refuses what it cannot have written.
struct ByteReader {
  /// The bytes end too early, or a number makes no sense.
  struct Malformed: Error {}

  private let bytes: [UInt8]
  private var position: Int
  private let end: Int

  init(_ bytes: [UInt8], from start: Int = 0) {
    self.bytes = bytes
    position = min(start, bytes.count)
    end = bytes.count
  }

  /// Whether everything has been read.
  var isAtEnd: Bool { position == end }

  mutating func readNumber() throws(Malformed) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 64, by: 7) {
      guard position < end else { throw Malformed() }
      let byte = bytes[position]
      position += 1
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
    }
    throw Malformed()
  }

  /// A count of things that take at least `unit` bytes each, of which there cannot be more than there are bytes.
  mutating func readCount(unit: Int = 1) throws(Malformed) -> Int {
    let value = try readNumber()
    guard value <= UInt64((end - position) / unit) else { throw Malformed() }
    return Int(value)
  }

  /// A number that is not negative.
  mutating func readInt() throws(Malformed) -> Int {
    guard let value = Int(exactly: try readNumber()) else { throw Malformed() }
    return value
  }

  mutating func readText() throws(Malformed) -> String {
    let count = try readCount()
    defer { position += count }
    return String(decoding: bytes[position..<position + count], as: UTF8.self)
  }

  mutating func readFloats() throws(Malformed) -> [Float] {
    let count = try readCount(unit: 4)
    defer { position += 4 * count }
    return (0..<count).map { i in
      bytes.withUnsafeBytes {
        Float(
          bitPattern: UInt32(
            littleEndian: $0.loadUnaligned(fromByteOffset: position + 4 * i, as: UInt32.self)))
      }
    }
  }

  mutating func readFixed() throws(Malformed) -> UInt64 {
    guard end - position >= 8 else { throw Malformed() }
    defer { position += 8 }
    return bytes.withUnsafeBytes {
      UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: position, as: UInt64.self))
    }
  }
}
