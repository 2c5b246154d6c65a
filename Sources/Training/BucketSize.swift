/// How many gradients are summed over ranks at a time. In configurations `auto` or a number of MiB.
public enum BucketSize: Sendable, Equatable {
  /// Chosen from measurements when a run starts (`BucketChoice`); a resumed run keeps what was chosen.
  case automatic
  /// Above 0; buckets are at least 64 bytes and multiples of it.
  case mebibytes(Double)

  /// What is taken unless something else is asked for.
  public static let usualMebibytes = 4.0

  /// Bytes of a bucket.
  ///
  /// - Precondition: it is chosen.
  var bytes: Int {
    guard case .mebibytes(let size) = self else {
      preconditionFailure("the size of buckets is not chosen yet")
    }
    return Int(size * 1_048_576)
  }

  /// As `description` has it; nil for anything else.
  public init?(_ text: String) {
    if text == "auto" {
      self = .automatic
    } else if let size = Double(text) {
      self = .mebibytes(size)
    } else {
      return nil
    }
  }
}

extension BucketSize: CustomStringConvertible {
  /// `auto`, or MiB.
  public var description: String {
    switch self {
    case .automatic: "auto"
    case .mebibytes(let size): "\(size)"
    }
  }
}

extension BucketSize: Codable {
  /// Reads `auto` or a number.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let size = try? container.decode(Double.self) {
      self = .mebibytes(size)
    } else if try container.decode(String.self) == "auto" {
      self = .automatic
    } else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "auto or a number of MiB is expected")
    }
  }

  /// Writes `auto` or a number.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .automatic: try container.encode("auto")
    case .mebibytes(let size): try container.encode(size)
    }
  }
}
