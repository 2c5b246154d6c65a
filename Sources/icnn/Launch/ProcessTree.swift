import Foundation
import Glibc

/// The processes below one process of this host, remembered after their parents have died: a launcher that is killed leaves
/// daemons and ranks behind.
struct ProcessTree {
  /// A process; its start tells it from a later one with the same number.
  struct Member: Hashable {
    let process: Int32
    /// Clock ticks since the host was started.
    let started: UInt64
  }

  private let root: Int32
  private var members: Set<Member> = []

  /// The tree of `root`, which itself is not a member.
  init(root: Int32) { self.root = root }

  /// Looks for new members: what descends from the root or from a member.
  mutating func look() {
    let all = Self.processes()
    var known = Set(members.map(\.process)).union([root])
    var grows = true
    while grows {
      grows = false
      for (process, entry) in all where !known.contains(process) && known.contains(entry.parent) {
        known.insert(process)
        members.insert(Member(process: process, started: entry.started))
        grows = true
      }
    }
  }

  /// Members that have not ended; what has ended and waits to be asked about does not count.
  var alive: [Int32] {
    members.filter { member in
      guard let entry = Self.entry(member.process) else { return false }
      return entry.started == member.started && entry.state != "Z"
    }.map(\.process).sorted()
  }

  /// Waits until no member is alive, for at most `seconds`; then kills what is. Returns how many it had to kill.
  func end(after seconds: Double) -> Int {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while ContinuousClock.now < deadline {
      if alive.isEmpty { return 0 }
      usleep(50_000)
    }
    let left = alive
    for process in left { kill(process, SIGKILL) }
    return left.count
  }

  private struct Entry {
    var parent: Int32
    var started: UInt64
    var state: Substring
  }

  private static func processes() -> [Int32: Entry] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    var result: [Int32: Entry] = [:]
    for process in names.compactMap({ Int32($0) }) { result[process] = entry(process) }
    return result
  }

  /// From /proc/PID/stat: the name, in parentheses, may hold anything.
  private static func entry(_ process: Int32) -> Entry? {
    guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
      let end = text.lastIndex(of: ")")
    else { return nil }
    let fields = text[end...].split(separator: " ").dropFirst()
    guard fields.count > 19, let parent = Int32(fields[fields.startIndex + 1]),
      let started = UInt64(fields[fields.startIndex + 19])
    else { return nil }
    return Entry(parent: parent, started: started, state: fields[fields.startIndex])
  }
}
