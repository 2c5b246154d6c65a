/// Castagnoli's cyclic redundancy check (RFC 3720, appendix B.4), and the mask that TFRecord files put over it.
enum CRC32C {
  /// The checksum of `bytes`.
  static func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
    ~bytes.reduce(~0) { table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] ^ ($0 >> 8) }
  }

  /// The checksum, rotated by 15 bits and displaced: a checksum stored among the data that it covers would otherwise
  /// lose its strength (tensorflow/core/lib/hash/crc32c.h).
  static func masked(_ bytes: some Sequence<UInt8>) -> UInt32 {
    let checksum = checksum(bytes)
    return (checksum >> 15 | checksum << 17) &+ 0xa282_ead8
  }

  /// Remainders of all bytes for the reversed polynomial.
  private static let table: [UInt32] = (0..<256).map { (byte: UInt32) in
    (0..<8).reduce(byte) { remainder, _ in remainder >> 1 ^ (remainder & 1 == 0 ? 0 : 0x82f6_3b78) }
  }
}
