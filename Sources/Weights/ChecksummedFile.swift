import CXXHash
import Foundation
import Glibc

/// A new file that is hashed (XXH128, as `xxh128sum` prints it) while it is written, and synced when closed.
package struct ChecksummedFile: ~Copyable {
  private let path: String
  private let descriptor: Int32
  private let state: OpaquePointer

  /// Creates `path`, which must not exist or is emptied.
  package init(path: String) throws(WeightsError) {
    self.path = path
    descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .cannotWrite(path: path, reason: String(cString: strerror(errno))) }
    state = XXH3_createState()
    XXH3_128bits_reset(state)
  }

  /// Appends and hashes.
  package mutating func append(_ bytes: UnsafeRawBufferPointer) throws(WeightsError) {
    var done = 0
    while done < bytes.count {
      let written = Glibc.write(descriptor, bytes.baseAddress! + done, min(bytes.count - done, 1 << 30))
      if written < 0 && errno == EINTR { continue }
      guard written > 0 else { throw .cannotWrite(path: path, reason: String(cString: strerror(errno))) }
      done += written
    }
    XXH3_128bits_update(state, bytes.baseAddress, bytes.count)
  }

  /// Appends and hashes.
  package mutating func append(_ bytes: [UInt8]) throws(WeightsError) {
    // withUnsafeBytes cannot rethrow a typed error, so the error is carried out by hand.
    var failure: WeightsError?
    bytes.withUnsafeBytes { buffer in
      do throws(WeightsError) { try append(buffer) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// Syncs to disk and returns the hash as 32 hexadecimal digits.
  package consuming func close() throws(WeightsError) -> String {
    guard fsync(descriptor) == 0 else {
      throw .cannotWrite(path: path, reason: String(cString: strerror(errno)))
    }
    return Self.hexadecimal(XXH3_128bits_digest(state))
  }

  deinit {
    Glibc.close(descriptor)
    XXH3_freeState(state)
  }

  /// The hash of a whole file.
  package static func checksum(of path: String) throws(WeightsError) -> String {
    guard let contents = try? Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped) else {
      throw .missing(path: path)
    }
    return contents.withUnsafeBytes { hexadecimal(XXH3_128bits($0.baseAddress, $0.count)) }
  }

  private static func hexadecimal(_ hash: XXH128_hash_t) -> String {
    let digits = { (word: UInt64) in
      let hex = String(word, radix: 16)
      return String(repeating: "0", count: 16 - hex.count) + hex
    }
    return digits(hash.high64) + digits(hash.low64)
  }
}
