import Foundation

/// A number with a unit, as people write it: 10G, 200Mbit, 20us, 30d.
enum Quantity {
  /// Bits per second: a number and nothing, K, M, G or T, perhaps followed by "bit" or "bit/s".
  static func bitsPerSecond(_ text: String) -> Double? {
    var rest = text.lowercased()
    for ending in ["bit/s", "bps", "bit"] where rest.hasSuffix(ending) {
      rest.removeLast(ending.count)
      break
    }
    return value(rest, ["": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12])
  }

  /// Seconds: a number and ns, us, ms, s, min, h or d; nothing is seconds.
  static func seconds(_ text: String) -> Double? {
    value(
      text.lowercased(),
      ["": 1, "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400])
  }

  private static func value(_ text: String, _ units: [String: Double]) -> Double? {
    let digits = text.prefix { $0.isNumber || $0 == "." }
    guard let number = Double(digits), number.isFinite,
      let unit = units[text.dropFirst(digits.count).trimmingCharacters(in: .whitespaces)]
    else { return nil }
    return number * unit
  }
}
