/// The JSON header of a safetensors file, read strictly: what the format does not know is refused, as are two entries of
/// one name, which JSON parsers let pass.
struct SafeTensorsHeader {
  /// One entry.
  struct Entry {
    let name: String
    let type: String
    let shape: [Int]
    /// First byte and the byte after the last, within the values.
    let offsets: Range<Int>
  }

  /// Why a header is refused.
  struct Fault: Error {
    let reason: String
  }

  private(set) var entries: [Entry] = []
  private(set) var metadata: [String: String] = [:]

  private let text: [UInt8]
  private var position = 0

  init(_ text: [UInt8]) throws(Fault) {
    self.text = text
    var names: Set<String> = []
    // Blanks may follow the header, so that the values are aligned, but nothing precedes it.
    guard text.first == UInt8(ascii: "{") else { throw Fault(reason: "the header is no JSON object") }
    try members { (header, name) throws(Fault) in
      guard names.insert(name).inserted else {
        throw Fault(reason: "the header names '\(quoted(name))' twice")
      }
      if name == "__metadata__" {
        header.metadata = try header.readMetadata()
      } else {
        header.entries.append(try header.readEntry(name))
      }
    }
    skipBlanks()
    guard position == text.count else { throw fault("text follows the header's object") }
  }

  private mutating func readMetadata() throws(Fault) -> [String: String] {
    var result: [String: String] = [:]
    try members { (header, key) throws(Fault) in
      guard result.updateValue(try header.readString(), forKey: key) == nil else {
        throw Fault(reason: "the metadata names '\(quoted(key))' twice")
      }
    }
    return result
  }

  private mutating func readEntry(_ name: String) throws(Fault) -> Entry {
    var type: String?
    var shape: [Int]?
    var offsets: [Int]?
    try members { (header, key) throws(Fault) in
      switch key {
      case "dtype" where type == nil: type = try header.readString()
      case "shape" where shape == nil: shape = try header.readIntegers()
      case "data_offsets" where offsets == nil: offsets = try header.readIntegers()
      default: throw header.fault("'\(quoted(key))' is out of place")
      }
    }
    guard let type, let shape, let offsets, offsets.count == 2, offsets[0] <= offsets[1] else {
      throw Fault(reason: "the header entry of '\(quoted(name))' is malformed")
    }
    return Entry(name: name, type: type, shape: shape, offsets: offsets[0]..<offsets[1])
  }

  // MARK: JSON

  /// `{ "name": value, … }`; `value` reads each value.
  private mutating func members(
    _ value: (inout Self, _ name: String) throws(Fault) -> Void
  ) throws(Fault) {
    try expect("{")
    if accept("}") { return }
    repeat {
      let name = try readString()
      try expect(":")
      try value(&self, name)
    } while accept(",")
    try expect("}")
  }

  /// `[0, 1, …]`; no sign, fraction or exponent.
  private mutating func readIntegers() throws(Fault) -> [Int] {
    try expect("[")
    if accept("]") { return [] }
    var result: [Int] = []
    repeat { result.append(try readInteger()) } while accept(",")
    try expect("]")
    return result
  }

  private mutating func readInteger() throws(Fault) -> Int {
    skipBlanks()
    let start = position
    var value = 0
    while position < text.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(text[position]) {
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(Int(text[position] - UInt8(ascii: "0")))
      guard !overflow, !carry else { throw fault("a number is too large") }
      value = sum
      position += 1
    }
    guard position > start, text[start] != UInt8(ascii: "0") || position == start + 1 else {
      throw fault("a whole number is expected")
    }
    return value
  }

  private mutating func readString() throws(Fault) -> String {
    try expect("\"")
    var bytes: [UInt8] = []
    while position < text.count {
      let byte = text[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: bytes, as: UTF8.self) else {
          throw fault("a text is no UTF-8")
        }
        return string
      case UInt8(ascii: "\\"): try readEscape(into: &bytes)
      case 0..<0x20: throw fault("a control character stands in a text")
      default: bytes.append(byte)
      }
    }
    throw fault("a text does not end")
  }

  private mutating func readEscape(into bytes: inout [UInt8]) throws(Fault) {
    guard position < text.count else { throw fault("a text does not end") }
    let escaped = text[position]
    position += 1
    switch escaped {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(escaped)
    case UInt8(ascii: "b"): bytes.append(0x08)
    case UInt8(ascii: "f"): bytes.append(0x0C)
    case UInt8(ascii: "n"): bytes.append(0x0A)
    case UInt8(ascii: "r"): bytes.append(0x0D)
    case UInt8(ascii: "t"): bytes.append(0x09)
    case UInt8(ascii: "u"):
      var code = UInt32(try readHexadecimal())
      if (0xD800..<0xDC00).contains(code), position + 1 < text.count, text[position] == UInt8(ascii: "\\"),
        text[position + 1] == UInt8(ascii: "u")
      {
        position += 2
        let low = UInt32(try readHexadecimal())
        guard (0xDC00..<0xE000).contains(low) else { throw fault("half a character stands in a text") }
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw fault("half a character stands in a text") }
      bytes.append(contentsOf: UTF8.encode(scalar)!)
    default: throw fault("an unknown escape stands in a text")
    }
  }

  private mutating func readHexadecimal() throws(Fault) -> UInt16 {
    guard position + 4 <= text.count, text[position..<position + 4].allSatisfy({ $0 != UInt8(ascii: "+") }),
      let code = UInt16(String(decoding: text[position..<position + 4], as: UTF8.self), radix: 16)
    else { throw fault("an unknown escape stands in a text") }
    position += 4
    return code
  }

  private mutating func skipBlanks() {
    while position < text.count, [0x20, 0x09, 0x0A, 0x0D].contains(text[position]) { position += 1 }
  }

  private mutating func accept(_ character: Unicode.Scalar) -> Bool {
    skipBlanks()
    guard position < text.count, text[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(Fault) {
    guard accept(character) else { throw fault("'\(character)' is expected") }
  }

  private func fault(_ reason: String) -> Fault { Fault(reason: "byte \(position) of the header: \(reason)") }

}

/// A name from a file for an error: no control characters, not longer than a line.
func quoted(_ name: String) -> String {
  let visible = String(String.UnicodeScalarView(name.unicodeScalars.prefix(80).filter { $0.value >= 0x20 }))
  return name.unicodeScalars.count > 80 ? visible + "…" : visible
}
