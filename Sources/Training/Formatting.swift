import Foundation

extension Double {
  /// With so many digits behind the point.
  public func fixed(_ digits: Int) -> String { String(format: "%.\(digits)f", self) }
}

extension Duration {
  /// In seconds.
  public var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

extension Double {
  /// With four significant digits.
  var short: String { String(format: "%.4g", self) }
}
