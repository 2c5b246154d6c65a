import Communication
import Glibc

/// Brings times of one rank onto the axis of all: rank 0's clock, in microseconds from a common beginning.
struct RankClock {
  private let first: ClockOffset
  private let last: ClockOffset
  private let begin: UInt64

  /// From two comparisons with rank 0's clock, between which the difference changes evenly; `begin` is rank 0's.
  init(first: ClockOffset, last: ClockOffset, begin: UInt64) {
    self.first = first
    self.last = last
    self.begin = begin
  }

  /// Microseconds within which the times of this rank are right, as far as clocks run evenly.
  var accuracy: Double { Double(max(first.accuracy, last.accuracy)) / 1e3 }

  /// Nanoseconds of this rank's clock → microseconds of the axis.
  func microseconds(_ time: UInt64) -> Double {
    let span = Double(Int64(bitPattern: last.time &- first.time))
    let passed = Double(Int64(bitPattern: time &- first.time))
    let drift = span > 0 ? Double(last.nanoseconds - first.nanoseconds) * (passed / span) : 0
    // The large numbers as integers: a Double has no room for years in nanoseconds and a fraction.
    let exact = Int64(bitPattern: time &- begin) - first.nanoseconds
    return (Double(exact) - drift) / 1e3
  }
}

/// What this host calls itself.
enum HostName {
  static var current: String {
    var buffer = [CChar](repeating: 0, count: 256)
    gethostname(&buffer, buffer.count - 1)
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
