import Testing

@testable import Datasets

@Suite struct ByteCodingTests {
  static let numbers: [UInt64] = [0, 1, 127, 128, 300, 1 << 32, .max - 1, .max]

  static func written() -> [UInt8] {
    var writer = ByteWriter()
    for number in numbers { writer.write(number) }
    writer.write("Übung 犬")
    writer.write([Float](arrayLiteral: 0, -1.5, .infinity, .leastNonzeroMagnitude))
    writer.writeFixed(0x0102_0304_0506_0708)
    return writer.bytes
  }

  static func read(_ bytes: [UInt8]) throws -> Bool {
    var reader = ByteReader(bytes)
    for number in numbers where try reader.readNumber() != number { return false }
    guard try reader.readText() == "Übung 犬" else { return false }
    guard try reader.readFloats() == [0, -1.5, .infinity, .leastNonzeroMagnitude] else { return false }
    return try reader.readFixed() == 0x0102_0304_0506_0708 && reader.isAtEnd
  }

  @Test func whatIsWrittenIsRead() throws {
    let bytes = Self.written()
    #expect(bytes[0] == 0 && bytes[2] == 127 && Array(bytes[3...4]) == [0x80, 1])
    #expect(try Self.read(bytes))
  }

  @Test func whatIsCutShortIsRefused() {
    let bytes = Self.written()
    for count in 0..<bytes.count {
      #expect(throws: ByteReader.Malformed.self) { try Self.read(Array(bytes.prefix(count))) }
    }
  }

  /// A damaged count must not ask for memory that no file can fill.
  @Test func countsBeyondTheBytesAreRefused() {
    var writer = ByteWriter()
    writer.write(UInt64.max)
    writer.write("abc")
    var reader = ByteReader(writer.bytes)
    #expect(throws: ByteReader.Malformed.self) { try reader.readCount() }
    var texts = ByteReader([200, 1, 65])
    #expect(throws: ByteReader.Malformed.self) { try texts.readText() }
    var floats = ByteReader([2, 0, 0, 0, 0])
    #expect(throws: ByteReader.Malformed.self) { try floats.readFloats() }
    // Eleven bytes that never end.
    var endless = ByteReader([UInt8](repeating: 0xff, count: 11))
    #expect(throws: ByteReader.Malformed.self) { try endless.readNumber() }
  }
}
