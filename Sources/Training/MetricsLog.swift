import Foundation
import Glibc

/// One JSON object a line in RUN/metrics.jsonl, written by rank 0 alone.
///
/// A log that cannot be written (disk full) never ends a training: the first failure is reported once, later lines
/// are tried again.
public final class MetricsLog {
  private let path: String
  private var descriptor: Int32 = -1
  private var hasReported = false
  private let report: (String) -> Void

  /// Appends to `path`; `report` receives the one warning if that fails.
  public init(path: String, report: @escaping (String) -> Void) {
    self.path = path
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
    let written = line.withCString { Glibc.write(descriptor, $0, strlen($0)) }
    if written != line.utf8.count { complain(errno) }
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
