import Foundation

/// A number of a report, or the reason why there is none. A page never shows NaN or infinity.
public enum ReportNumber: Codable, Sendable, Equatable {
  /// A finite number; one that is not finite is shown as missing.
  case value(Double)
  /// Not measured or not defined, and why.
  case missing(reason: String)

  /// `value` where it is finite, otherwise missing for `reason`.
  public init(_ value: Double?, or reason: String) {
    self = value.flatMap { $0.isFinite ? .value($0) : nil } ?? .missing(reason: reason)
  }

  /// The number, if there is one.
  public var finite: Double? {
    if case .value(let value) = self, value.isFinite { value } else { nil }
  }

  /// Why there is none; empty if there is one.
  public var reason: String {
    switch self {
    case .value(let value): value.isFinite ? "" : "the number is not finite"
    case .missing(let reason): reason
    }
  }

  /// Three decimals for numbers of ordinary size, three significant digits for others; "–" for none.
  var text: String {
    guard let value = finite else { return "–" }
    let magnitude = abs(value)
    if magnitude == 0 || (0.001..<1000).contains(magnitude) {
      return Self.signed(String(format: "%.3f", value))
    }
    if magnitude >= 1000 && magnitude < 1e7 { return Self.signed(String(format: "%.0f", value)) }
    return Self.signed(String(format: "%.2e", value))
  }

  /// In percent, with one decimal; "–" for none.
  var percent: String { finite.map { Self.signed(String(format: "%.1f", $0 * 100)) + " %" } ?? "–" }

  /// A minus that is as wide as a plus.
  private static func signed(_ text: String) -> String {
    text.hasPrefix("-") ? "−" + text.dropFirst() : text
  }

  /// A number as a script reads it; empty for none.
  var sortKey: String { finite.map { String($0) } ?? "" }
}
