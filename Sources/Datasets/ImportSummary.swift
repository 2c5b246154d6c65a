/// What an import made, and what it left out and why.
public struct ImportSummary: Codable, Sendable, Equatable {
  /// Images of one class.
  public struct Category: Codable, Sendable, Equatable {
    /// Its folder's name.
    public let name: String
    /// Images of each split.
    public internal(set) var train = 0, val = 0
    /// Images with each part.
    public internal(set) var parts: [String: Int] = [:]
  }

  /// animal-part, cub200 or voc-part.
  public let layout: String
  /// The folder that was written.
  public let output: String
  /// Images written now, and images found complete from before.
  public let written: Int, kept: Int
  /// In the order of their names.
  public let categories: [Category]
  /// Reasons, and what they kept out.
  public let leftOut: [ImportOmission]
  /// What a user should know.
  public let notes: [String]

  /// Several lines for people.
  public var description: String {
    var lines = [
      written == 0
        ? "nothing to do: all \(kept) images are there and whole – \(output)"
        : "\(written) images written\(kept > 0 ? ", \(kept) kept" : "") – \(output)"
    ]
    for category in categories {
      let parts = category.parts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(
        separator: ", ")
      lines.append(
        "  \(category.name): \(category.train) train, \(category.val) val; \(parts.isEmpty ? "no parts" : parts)"
      )
    }
    for omission in leftOut {
      let more = omission.count > omission.examples.count ? ", …" : ""
      lines.append(
        "left out, \(omission.reason): \(omission.count) (\(omission.examples.joined(separator: ", "))\(more))"
      )
    }
    return (lines + notes.map { "note: " + $0 }).joined(separator: "\n")
  }
}
