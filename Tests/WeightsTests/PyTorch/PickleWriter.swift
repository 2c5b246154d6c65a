/// Writes pickles of protocol 2, instruction by instruction.
struct PickleWriter {
  var bytes: [UInt8] = [0x80, 2]

  mutating func global(_ module: String, _ name: String) {
    bytes += [UInt8(ascii: "c")] + Array(module.utf8) + [0x0A] + Array(name.utf8) + [0x0A]
  }

  mutating func string(_ text: String) {
    bytes += [UInt8(ascii: "X")] + Self.littleEndian(UInt32(text.utf8.count)) + Array(text.utf8)
  }

  mutating func integer(_ value: Int) {
    if (0..<256).contains(value) {
      bytes += [UInt8(ascii: "K"), UInt8(value)]
    } else if let value = Int32(exactly: value) {
      bytes += [UInt8(ascii: "J")] + Self.littleEndian(value)
    } else {
      bytes += [0x8A, 8] + Self.littleEndian(Int64(value))
    }
  }

  mutating func mark() { bytes.append(UInt8(ascii: "(")) }

  mutating func boolean(_ value: Bool) { bytes.append(value ? 0x88 : 0x89) }

  /// One byte that is an instruction by itself.
  mutating func opcode(_ character: Unicode.Scalar) { bytes.append(UInt8(ascii: character)) }

  mutating func tuple(_ values: [Int]) {
    mark()
    for value in values { integer(value) }
    opcode("t")
  }

  /// ('storage', torch.TYPE, key, 'cpu', count), looked up.
  mutating func storage(
    _ type: String, key: String, count: Int, legacyView: [Int]? = nil, isLegacy: Bool = false
  ) {
    mark()
    string("storage")
    global("torch", type)
    string(key)
    string("cpu")
    integer(count)
    if let legacyView {
      mark()
      string("view of \(key)")
      for value in legacyView { integer(value) }
      opcode("t")
    } else if isLegacy {
      opcode("N")
    }
    opcode("t")
    opcode("Q")
  }

  static func littleEndian<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }
}
