import Foundation
import Glibc

/// One JSON object a line in RUN/metrics.jsonl, written by rank 0 alone.
///
/// A log that cannot be written (disk full) never ends a training: the first failure is reported once, later lines
/// are tried again. A line of which only a part found room is taken back: the next one would be added to its end.
public final class MetricsLog {
  private let path: String
  private var descriptor: Int32 = -1
  private var hasReported = false
  private let report: (String) -> Void
  private let append: Append

  /// `write` of the C library.
  typealias Append = (_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int

  /// Appends to `path`; `report` receives the one warning if that fails.
  public convenience init(path: String, report: @escaping (String) -> Void) {
    self.init(path: path, append: Glibc.write, report: report)
  }

  init(path: String, append: @escaping Append, report: @escaping (String) -> Void) {
    self.path = path
    self.append = append
    self.report = report
    open()
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Writes one event. Numbers that JSON cannot hold (NaN, infinity) become null.
  public func write(_ event: String, _ fields: KeyValuePairs<String, MetricsValue>) {
    var line = "{\"event\":\"\(event)\""
    for (name, value) in fields { line += ",\"\(name)\":\(value.json)" }
    line += "}\n"
    if descriptor < 0 { open() }
    guard descriptor >= 0 else { return complain(errno) }
    let end = lseek(descriptor, 0, SEEK_END)
    let written = line.withUTF8 { append(descriptor, $0.baseAddress!, $0.count) }
    if written < 0 { return complain(errno) }
    if written < line.utf8.count {
      // A write that comes to the end of the room succeeds with what fits, and sets no error.
      _ = ftruncate(descriptor, end)
      complain(ENOSPC)
    }
  }

  private func open() { descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644) }

  private func complain(_ code: Int32) {
    guard !hasReported else { return }
    hasReported = true
    report("metrics are not written – \(path): \(String(cString: strerror(code))) – training goes on")
  }
}

/// A value of a metrics line.
public enum MetricsValue: ExpressibleByIntegerLiteral, ExpressibleByStringLiteral {
  case integer(Int)
  case number(Double)
  case text(String)
  case numbers([Double])
  case integers([Int])
  case objects([KeyValuePairs<String, MetricsValue>])

  /// An integer.
  public init(integerLiteral value: Int) { self = .integer(value) }
  /// A text.
  public init(stringLiteral value: String) { self = .text(value) }

  var json: String {
    switch self {
    case .integer(let value): String(value)
    case .number(let value): Self.number(value)
    case .numbers(let values): "[" + values.map(Self.number).joined(separator: ",") + "]"
    case .integers(let values): "[" + values.map(String.init).joined(separator: ",") + "]"
    case .objects(let values):
      "["
        + values.map { "{" + $0.map { "\"\($0)\":\($1.json)" }.joined(separator: ",") + "}" }
        .joined(separator: ",") + "]"
    case .text(let value):
      // Encoding one string cannot fail; its escapes are JSON's.
      String(decoding: (try? JSONEncoder().encode(value)) ?? Data("null".utf8), as: UTF8.self)
    }
  }

  /// Seven digits: as many as a Float has.
  private static func number(_ value: Double) -> String {
    guard value.isFinite else { return "null" }
    if value == value.rounded() && abs(value) < 1e15 { return String(Int(value)) }
    return String(Float(value))
  }
}
