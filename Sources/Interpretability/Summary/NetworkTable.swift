import Foundation

/// A `NetworkSummary` as a table for people, at most 100 columns wide.
public struct NetworkTable: CustomStringConvertible {
  /// The table, without a newline at its end.
  public let description: String

  private static let head = [
    "layer", "kind", "output", "parameters", "mult-adds", "field", "stride", "offset",
  ]
  private static let shortened: [(word: String, short: String)] = [
    ("normalization", "norm"), ("average", "avg"), ("interpretable mask", "mask"),
  ]
  // Words to the left, numbers to the right.
  private static let isLeft = [true, true, false, false, false, false, false, false]

  /// Lays out a network: a line a layer, those of a block indented below it, and the sums.
  public init(_ network: NetworkSummary) {
    let rows =
      [Self.head] + network.layers.flatMap { Self.rows($0, in: nil, depth: 0) }
      + [
        [
          "total", "", "", Self.grouped(network.parameters), Self.scaled(network.multiplyAdds), "", "", "",
        ]
      ]
    let widths = Self.head.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    description = rows.map { row in
      let cells = row.indices.map { column in
        let blanks = String(repeating: " ", count: widths[column] - row[column].count)
        return Self.isLeft[column] ? row[column] + blanks : blanks + row[column]
      }
      var line = cells.joined(separator: "  ")
      while line.last == " " { line.removeLast() }
      return line
    }.joined(separator: "\n")
  }

  private static func rows(_ layer: LayerSummary, in block: String?, depth: Int) -> [[String]] {
    // Parts stand below their block, whose name most of theirs begin with.
    let prefix = block.map { $0 + "." } ?? ""
    let name = layer.name.hasPrefix(prefix) ? String(layer.name.dropFirst(prefix.count)) : layer.name
    let isComposite = !layer.parts.isEmpty
    let field = layer.receptiveField
    let row = [
      String(repeating: "  ", count: depth) + name,
      shortened.reduce(layer.kind) { $0.replacingOccurrences(of: $1.word, with: $1.short) },
      layer.output.map(String.init).joined(separator: "×"),
      // The parts below tell theirs.
      isComposite || layer.parameters == 0 ? "" : grouped(layer.parameters),
      isComposite || layer.multiplyAdds == 0 ? "" : scaled(layer.multiplyAdds),
      field.map { both($0.vertical.size, $0.horizontal.size) } ?? "",
      field.map { both($0.vertical.stride, $0.horizontal.stride) } ?? "",
      field.map { both($0.vertical.firstCentre, $0.horizontal.firstCentre) } ?? "",
    ]
    return [row] + layer.parts.flatMap { rows($0, in: layer.name, depth: depth + 1) }
  }

  /// Of rows and columns; once if they are equal.
  private static func both<Value: Equatable>(_ rows: Value, _ columns: Value) -> String {
    rows == columns ? "\(rows)" : "\(rows)×\(columns)"
  }

  /// 61,100,840.
  public static func grouped(_ count: Int) -> String {
    var digits = String(count)
    var result = ""
    while digits.count > 3 {
      result = "," + digits.suffix(3) + result
      digits.removeLast(3)
    }
    return digits + result
  }

  /// "715 M", "15.5 G": three digits, to be followed by a unit.
  public static func scaled(_ count: Int) -> String {
    let value = Double(count)
    for (unit, name) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] where value >= 0.9995 * unit {
      return String(format: "%.3g ", value / unit) + name
    }
    return "\(count) "
  }
}
