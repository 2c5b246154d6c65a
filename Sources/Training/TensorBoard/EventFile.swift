import Foundation
import Glibc

/// An `events.out.tfevents.*` file: records of (length, checksum, bytes, checksum), as TFRecord files have them,
/// collected in memory and written by `flush`.
///
/// A file that cannot be written (disk full) never ends a training: the first failure is reported once, later flushes
/// are tried again. What does reach the disk is always a sequence of complete records.
final class EventFile {
  /// Path of the file.
  let path: String
  /// Records wait for a disk that fails until they are as many bytes as this; then the oldest are given up.
  private static let waitingLimit = 4 << 20

  private var descriptor: Int32 = -1
  private var waiting: [UInt8] = []
  private var ends: [Int] = []
  private var writtenBytes = 0
  private var hasReported = false
  private let header: [UInt8]
  private let report: (String) -> Void

  /// A new file in `folder`, made at the first flush. Its name sorts behind those made in earlier seconds, as
  /// TensorBoard expects of the continuation of a run.
  ///
  /// - Parameters:
  ///   - time: seconds since 1970.
  ///   - header: the first record's content; it is never given up.
  ///   - report: receives the one warning if the file cannot be written.
  init(folder: String, time: Double, header: [UInt8], report: @escaping (String) -> Void) {
    let stem =
      "\(folder)/events.out.tfevents.\(Int(time)).\(ProcessInfo.processInfo.hostName)."
      + "\(ProcessInfo.processInfo.processIdentifier)"
    let number = (0...).first { access("\(stem).\($0)", F_OK) != 0 } ?? 0
    path = "\(stem).\(number)"
    self.header = Self.record(header)
    self.report = report
  }

  deinit {
    flush()
    if descriptor >= 0 { close(descriptor) }
  }

  /// Bytes that wait for a flush.
  var waitingBytes: Int { waiting.count }

  /// Adds a record.
  func append(_ content: [UInt8]) {
    waiting += Self.record(content)
    ends.append(waiting.count)
  }

  /// Writes what waits. Complete or not at all: what was written in part is cut off again.
  func flush() {
    guard !waiting.isEmpty || writtenBytes == 0 else { return }
    if descriptor < 0 {
      descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
      guard descriptor >= 0 else { return complain(errno) }
    }
    let bytes = writtenBytes == 0 ? header + waiting : waiting
    guard write(bytes) else { return }
    writtenBytes += bytes.count
    waiting.removeAll(keepingCapacity: true)
    ends.removeAll(keepingCapacity: true)
  }

  private func write(_ bytes: [UInt8]) -> Bool {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.write(descriptor, $0.baseAddress! + done, bytes.count - done)
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else {
        let code = errno
        _ = ftruncate(descriptor, writtenBytes)
        _ = lseek(descriptor, writtenBytes, SEEK_SET)
        complain(code)
        return false
      }
      done += count
    }
    return true
  }

  private func complain(_ code: Int32) {
    if waiting.count > Self.waitingLimit {
      let kept = ends.first { waiting.count - $0 <= Self.waitingLimit / 2 } ?? waiting.count
      waiting.removeFirst(kept)
      ends = ends.filter { $0 > kept }.map { $0 - kept }
    }
    guard !hasReported else { return }
    hasReported = true
    report(
      "TensorBoard events are not written – \(path): \(String(cString: strerror(code))) – training goes on")
  }

  /// Length, its checksum, content, its checksum; numbers little-endian.
  static func record(_ content: [UInt8]) -> [UInt8] {
    let length = bytes(of: UInt64(content.count))
    return length + bytes(of: CRC32C.masked(length)) + content + bytes(of: CRC32C.masked(content))
  }

  private static func bytes<Integer: FixedWidthInteger>(of value: Integer) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }
}
