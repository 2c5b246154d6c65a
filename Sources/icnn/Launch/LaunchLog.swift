import Foundation
import Glibc

/// What the launcher tells, a line each with its time: on standard error and, if wanted, at the end of a file.
final class LaunchLog {
  private let path: String?

  /// - Parameter path: a file that lines are appended to besides.
  init(path: String?) { self.path = path }

  /// Writes one line.
  func line(_ text: String) {
    let line = "\(Self.time()) launch: \(text)\n"
    FileHandle.standardError.write(Data(line.utf8))
    guard let path else { return }
    // Opened anew each time, so that the file may be rotated. A full disk does not keep a job from running.
    let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard file >= 0 else { return }
    _ = line.withCString { write(file, $0, strlen($0)) }
    close(file)
  }

  /// Local time, in the form that sorts.
  private static func time() -> String {
    var now = Glibc.time(nil)
    var parts = tm()
    localtime_r(&now, &parts)
    func two(_ value: Int32) -> String { (value < 10 ? "0" : "") + String(value) }
    return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday)) "
      + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
  }
}
