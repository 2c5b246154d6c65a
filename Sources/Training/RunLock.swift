import Foundation
import Glibc

/// Keeps a second training out of a run folder: whoever holds `RUN/lock` may write there.
///
/// The lock is the kernel's (`flock`; a file server's on NFS), so that a process that is gone, however it ended, holds none.
/// The file's text says who took it last. A file system without locks keeps nobody out.
final class RunLock: Sendable {
  private let descriptor: Int32

  /// Takes the lock, waiting up to `patienceSeconds` for a process that is about to end.
  ///
  /// - Throws: code 75 if another process keeps it; 74 if its file cannot be made.
  init(run: String, patienceSeconds: Double) throws(ExitError) {
    let path = run + "/lock"
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw ExitError(
        code: 74,
        "the run cannot be locked – \(path): \(String(cString: strerror(errno))) – mend its permissions")
    }
    let deadline = ContinuousClock.now + .seconds(patienceSeconds)
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      guard errno == EWOULDBLOCK || errno == EINTR else { return }
      if ContinuousClock.now >= deadline {
        // Closing gives up no lock: this descriptor has none.
        let holder = Self.text(descriptor)
        close(descriptor)
        throw ExitError(
          code: 75,
          "the run is being trained – \(run) by \(holder ?? "another process") – wait for it or stop it, or choose "
            + "another --output")
      }
      usleep(100_000)
    }
    let text = "process \(getpid()) on \(ProcessInfo.processInfo.hostName)"
    // Without room for these bytes the lock holds all the same.
    if ftruncate(descriptor, 0) == 0 { _ = text.withCString { pwrite(descriptor, $0, strlen($0), 0) } }
  }

  deinit { close(descriptor) }

  private static func text(_ descriptor: Int32) -> String? {
    var bytes = [UInt8](repeating: 0, count: 256)
    let count = pread(descriptor, &bytes, bytes.count, 0)
    return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
  }
}
