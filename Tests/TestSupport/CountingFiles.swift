import Datasets
import Synchronization

/// The files of this machine as those of some host, counted. Some may be missing there, or be others.
package final class CountingFiles: DataFiles {
  /// What was asked for.
  package struct Counts: Equatable, Sendable {
    package var statuses: Int
    package var listings: Int
    package var reads: Int

    package init(statuses: Int = 0, listings: Int = 0, reads: Int = 0) {
      self.statuses = statuses
      self.listings = listings
      self.reads = reads
    }
  }

  package let host: String
  private let system = SystemFiles()
  /// Ends of the paths that are missing.
  private let missing: [String]
  /// Bytes by the end of the path.
  private let replaced: [String: [UInt8]]
  private let counted = Mutex(Counts())

  package init(host: String = "test", missing: [String] = [], replaced: [String: [UInt8]] = [:]) {
    self.host = host
    self.missing = missing
    self.replaced = replaced
  }

  package var counts: Counts { counted.withLock { $0 } }

  package func status(_ path: String) throws(DatasetError) -> FileStatus? {
    counted.withLock { $0.statuses += 1 }
    if missing.contains(where: path.hasSuffix) { return nil }
    var status = try system.status(path)
    if let bytes = replaced.first(where: { path.hasSuffix($0.key) })?.value { status?.bytes = bytes.count }
    return status
  }

  package func names(_ path: String) throws(DatasetError) -> [String] {
    counted.withLock { $0.listings += 1 }
    return try system.names(path)
  }

  package func read(_ path: String, into bytes: inout [UInt8]) throws(DatasetError) {
    counted.withLock { $0.reads += 1 }
    if missing.contains(where: path.hasSuffix) {
      throw .unreadable(path: path, reason: "No such file or directory")
    }
    if let other = replaced.first(where: { path.hasSuffix($0.key) })?.value {
      bytes = other
    } else {
      try system.read(path, into: &bytes)
    }
  }
}
