import Foundation
import Training

/// The hosts of an mpirun: `NAME slots=N` a line, `#` begins a comment.
struct Hostfile: Equatable {
  /// One line.
  struct Host: Equatable {
    let name: String
    /// Ranks that it takes; nil where the file does not say (mpirun then takes the number of its cores).
    let slots: Int?
    /// As it stands in the file.
    let line: String
  }

  /// In the file's order.
  let hosts: [Host]

  /// Reads a file.
  ///
  /// - Throws: code 66 if it cannot be read, 64 if it names no host or a number of slots makes no sense.
  init(path: String) throws(ExitError) {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw ExitError(code: 66, "the hostfile cannot be read – \(path) – see hostfile.example")
    }
    try self.init(text: text, path: path)
  }

  /// Reads the text of the file at `path`.
  init(text: String, path: String) throws(ExitError) {
    var hosts: [Host] = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace)
      guard let name = words.first else { continue }
      var slots: Int?
      if let word = words.dropFirst().first(where: { $0.hasPrefix("slots=") }) {
        guard let number = Int(word.dropFirst("slots=".count)), number >= 1 else {
          throw ExitError(
            code: 64,
            "a number of slots makes no sense – \(path), line \(index + 1): \(word) – see hostfile.example")
        }
        slots = number
      }
      hosts.append(Host(name: String(name), slots: slots, line: String(line)))
    }
    guard !hosts.isEmpty else {
      throw ExitError(code: 64, "the hostfile names no host – \(path) – see hostfile.example")
    }
    self.hosts = hosts
  }

  /// How many of `wanted` ranks there is room for on those hosts that are `alive`.
  ///
  /// Without slots on every line the ranks are spread evenly over the hosts, as far as this file knows.
  func ranks(on alive: [Host], wanted: Int) -> Int {
    if alive.count == hosts.count { return wanted }
    let slots = alive.compactMap(\.slots)
    guard hosts.allSatisfy({ $0.slots != nil }) else {
      return alive.isEmpty ? 0 : max(1, wanted * alive.count / hosts.count)
    }
    return min(wanted, slots.reduce(0, +))
  }
}
