/// Something that must be the same on all ranks before they train together, as text that a person can compare.
public struct AgreementField: Sendable, Equatable {
  /// What a user calls it, such as `batch-size` or `data-set fingerprint`.
  public let name: String
  /// Its value on this rank.
  public let value: String

  /// A setting. Long texts are compared whole and shown from where they differ.
  public init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }

  /// A count (shown in decimal digits) or, from 2^32 on, a hash (shown in hexadecimal digits).
  public init(_ name: String, _ value: UInt64) {
    self.name = name
    if value < 1 << 32 {
      self.value = String(value)
    } else {
      let digits = String(value, radix: 16)
      self.value = "0x" + String(repeating: "0", count: 16 - digits.count) + digits
    }
  }

  /// A digest, shown in hexadecimal digits.
  public init(_ name: String, bytes: [UInt8]) {
    self.name = name
    value = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}

extension Communicator {
  /// Compares `fields` over all ranks. Where one differs, every rank throws the same `disagreement` (exit code 78)
  /// that names the field, the ranks and their values. One collective; for start-up, not for every step.
  public func agree(on fields: [AgreementField]) throws(CommunicationError) {
    if size == 1 { return }
    let gathered = try allGather(encode(fields)).map(decode)
    var details: [String] = []
    for index in 0..<gathered.map(\.count).max()! {
      // Ranks in groups that have the same name and value here.
      var groups: [(field: AgreementField?, ranks: [Int])] = []
      for (rank, fields) in gathered.enumerated() {
        let field = index < fields.count ? fields[index] : nil
        if let group = groups.firstIndex(where: { $0.field == field }) {
          groups[group].ranks.append(rank)
        } else {
          groups.append((field, [rank]))
        }
      }
      if groups.count > 1 { details.append(describe(groups)) }
    }
    guard details.isEmpty else { throw .disagreement(details: details) }
  }
}

private func describe(_ groups: [(field: AgreementField?, ranks: [Int])]) -> String {
  let fields = groups.map { $0.field ?? AgreementField("nothing", "") }
  if fields.contains(where: { $0.name != fields[0].name }) {
    return zip(groups, fields).map { "\(describe($0.ranks)) compare(s) \($1.name)" }.joined(separator: ", ")
  }
  let values = fields.map { Array($0.value) }
  // Some context before the first difference, if it lies deep in a long text.
  let common = values.dropFirst().map { value in zip(values[0], value).prefix { $0 == $1 }.count }.min()!
  let start = common > 60 ? common - 20 : 0
  let shown = values.map { value in
    (start > 0 ? "..." : "") + String(value.dropFirst(start).prefix(100))
      + (value.count > start + 100 ? "..." : "")
  }
  return "\(fields[0].name): "
    + zip(groups, shown).map { "\(describe($0.ranks)) \($0.ranks.count > 1 ? "have" : "has") `\($1)`" }
    .joined(separator: ", ")
}

/// "rank 3", "ranks 0-2, 5".
func describe(_ ranks: [Int]) -> String {
  var ranges: [ClosedRange<Int>] = []
  for rank in ranks {
    if let last = ranges.last, last.upperBound + 1 == rank {
      ranges[ranges.count - 1] = last.lowerBound...rank
    } else {
      ranges.append(rank...rank)
    }
  }
  let list = ranges.map { $0.count > 1 ? "\($0.lowerBound)-\($0.upperBound)" : "\($0.lowerBound)" }
  return (ranks.count > 1 ? "ranks " : "rank ") + list.joined(separator: ", ")
}

/// Each name and value, with its length in bytes before it as 8 bytes in little-endian order.
private func encode(_ fields: [AgreementField]) -> [UInt8] {
  fields.flatMap { [$0.name, $0.value] }.flatMap { text in
    withUnsafeBytes(of: UInt64(text.utf8.count).littleEndian) { Array($0) } + Array(text.utf8)
  }
}

private func decode(_ bytes: [UInt8]) -> [AgreementField] {
  var texts: [String] = []
  var position = 0
  while position < bytes.count {
    let length = bytes[position..<(position + 8)].reversed().reduce(0) { $0 << 8 | Int($1) }
    position += 8
    texts.append(String(decoding: bytes[position..<(position + length)], as: UTF8.self))
    position += length
  }
  return stride(from: 0, to: texts.count, by: 2).map { AgreementField(texts[$0], texts[$0 + 1]) }
}
