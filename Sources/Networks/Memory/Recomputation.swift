/// Which activations a training step computes a second time instead of keeping them (activation checkpointing: Chen, Xu,
/// Zhang, Guestrin, "Training deep nets with sublinear memory cost", 2016, arXiv:1604.06174).
///
/// The layers are cut into segments of about equally large activations. Only the last output of each segment is kept;
/// before its backward the others are computed again. The last segment is not: its backward follows at once. The results
/// are the same bit for bit.
public enum Recomputation: Equatable, Sendable {
  /// Every activation that backward reads is kept.
  case none
  /// That number of segments, at least 2.
  case segments(Int)
  /// The number of segments that needs least memory.
  case automatic
}

extension Recomputation: Codable, RawRepresentable {
  /// "none", "auto" or the number of segments, as the command line and configuration files write it.
  public var rawValue: String {
    switch self {
    case .none: "none"
    case .segments(let count): "\(count)"
    case .automatic: "auto"
    }
  }

  /// What that text means, or nil.
  public init?(rawValue: String) {
    switch rawValue {
    case "none": self = .none
    case "auto": self = .automatic
    default:
      guard let count = Int(rawValue), count >= 2 else { return nil }
      self = .segments(count)
    }
  }

  /// Reads a text or a number.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try (try? container.decode(Int.self)).map(String.init) ?? container.decode(String.self)
    guard let value = Self(rawValue: text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "none, auto or a number of segments from 2 is expected, not \(text)")
    }
    self = value
  }
}
