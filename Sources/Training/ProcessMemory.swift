import Foundation

/// What the system says of this process's memory (Linux: /proc/self/status); 0 where it says nothing.
public enum ProcessMemory {
  /// Largest resident size so far, in bytes.
  public static var peakBytes: Int { bytes(of: "VmHWM:") }
  /// Resident size now, in bytes.
  public static var residentBytes: Int { bytes(of: "VmRSS:") }

  private static func bytes(of field: String) -> Int {
    guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return 0 }
    for line in status.split(separator: "\n") where line.hasPrefix(field) {
      return line.split(separator: " ").compactMap { Int($0) }.first.map { $0 * 1024 } ?? 0
    }
    return 0
  }
}
