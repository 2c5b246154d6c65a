import CXXHash
import Datasets
import Networks

/// Fast 64-bit hashes (XXH3), to find out whether ranks hold the same bits.
enum Fingerprint {
  /// The hash of some memory.
  static func of(_ bytes: UnsafeRawBufferPointer) -> UInt64 { XXH3_64bits(bytes.baseAddress, bytes.count) }
}

extension Preprocessing {
  /// The hash of size, mean and scale.
  var checksum: UInt64 {
    (mean + scale + [Float(imageSize)]).withUnsafeBytes { Fingerprint.of($0) }
  }
}

extension Network {
  /// Names and shapes of all parameters, hashed.
  var signature: UInt64 {
    let text = store.parameters.map { "\($0.name)\($0.shape)" }.joined(separator: ";")
    return Array(text.utf8).withUnsafeBytes { Fingerprint.of($0) }
  }
}
