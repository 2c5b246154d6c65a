import Glibc

/// What one element of a stored tensor is. The raw values are those of safetensors.
public enum ElementType: String, Sendable, CaseIterable {
  case float64 = "F64"
  case float32 = "F32"
  case float16 = "F16"
  case bfloat16 = "BF16"
  case int64 = "I64"
  case int32 = "I32"
  case int16 = "I16"
  case int8 = "I8"
  case uint8 = "U8"
  case boolean = "BOOL"

  /// Bytes of one element.
  public var byteCount: Int {
    switch self {
    case .float64, .int64: 8
    case .float32, .int32: 4
    case .float16, .bfloat16, .int16: 2
    case .int8, .uint8, .boolean: 1
    }
  }

  /// True for types whose values are learned.
  public var isFloatingPoint: Bool {
    switch self {
    case .float64, .float32, .float16, .bfloat16: true
    case .int64, .int32, .int16, .int8, .uint8, .boolean: false
    }
  }

  /// `count` little-endian elements as Float.
  func floats(_ bytes: UnsafeRawBufferPointer, count: Int) -> [Float] {
    precondition(
      bytes.count >= count * byteCount, "\(bytes.count) bytes hold no \(count) elements of \(self)")
    if self == .float32 {
      return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
        if count > 0 { memcpy(buffer.baseAddress!, bytes.baseAddress!, count * 4) }
        initialized = count
      }
    }
    switch self {
    case .float16: return values(bytes, count, as: UInt16.self) { Float(Float16(bitPattern: $0)) }
    case .bfloat16: return values(bytes, count, as: UInt16.self) { Float(bitPattern: UInt32($0) << 16) }
    default: return doubles(bytes, count: count).map(Float.init)
    }
  }

  /// `count` little-endian elements as Double.
  func doubles(_ bytes: UnsafeRawBufferPointer, count: Int) -> [Double] {
    precondition(
      bytes.count >= count * byteCount, "\(bytes.count) bytes hold no \(count) elements of \(self)")
    return switch self {
    case .float64: values(bytes, count, as: UInt64.self) { Double(bitPattern: $0) }
    case .float32: values(bytes, count, as: UInt32.self) { Double(Float(bitPattern: $0)) }
    case .float16, .bfloat16: floats(bytes, count: count).map(Double.init)
    case .int64: values(bytes, count, as: Int64.self) { Double($0) }
    case .int32: values(bytes, count, as: Int32.self) { Double($0) }
    case .int16: values(bytes, count, as: Int16.self) { Double($0) }
    case .int8: values(bytes, count, as: Int8.self) { Double($0) }
    case .uint8: values(bytes, count, as: UInt8.self) { Double($0) }
    case .boolean: values(bytes, count, as: UInt8.self) { $0 == 0 ? 0 : 1 }
    }
  }

  private func values<Stored: FixedWidthInteger & BitwiseCopyable, Value>(
    _ bytes: UnsafeRawBufferPointer, _ count: Int, as type: Stored.Type, _ convert: (Stored) -> Value
  ) -> [Value] {
    (0..<count).map {
      convert(
        Stored(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Stored>.size, as: type)))
    }
  }
}
