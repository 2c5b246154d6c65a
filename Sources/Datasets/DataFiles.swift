import Glibc

/// What the system says of a file or folder without opening it.
package struct FileStatus: Equatable {
  package var isFolder: Bool
  /// Length in bytes.
  package var bytes: Int
  /// Number within its file system: another one for a copy.
  package var inode: UInt64
  /// When the content and when anything of it changed last, in nanoseconds since 1970. Nobody can set the second.
  package var modified: Int64, changed: Int64
}

/// Where the files of a data set are and how this process reaches them. Paths are absolute or of the process's folder.
package protocol DataFiles: Sendable {
  /// The host, as messages name it.
  var host: String { get }
  /// Nil if there is nothing at `path`, or a link to nowhere.
  func status(_ path: String) throws(DatasetError) -> FileStatus?
  /// Names in a folder, without "." and "..", in no particular order.
  func names(_ path: String) throws(DatasetError) -> [String]
  /// Replaces `bytes` by the content of a file.
  func read(_ path: String, into bytes: inout [UInt8]) throws(DatasetError)
}

/// The file systems of this host.
package struct SystemFiles: DataFiles {
  package init() {}

  package var host: String {
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, name.count - 1)
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  package func status(_ path: String) throws(DatasetError) -> FileStatus? {
    var status = stat()
    guard stat(path, &status) == 0 else {
      if [ENOENT, ENOTDIR, ELOOP].contains(errno) { return nil }
      throw .unreadable(path: path, reason: systemError())
    }
    func nanoseconds(_ time: timespec) -> Int64 { Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec) }
    return FileStatus(
      isFolder: status.st_mode & S_IFMT == S_IFDIR, bytes: Int(status.st_size), inode: UInt64(status.st_ino),
      modified: nanoseconds(status.st_mtim), changed: nanoseconds(status.st_ctim))
  }

  package func names(_ path: String) throws(DatasetError) -> [String] { try listFolder(path) }

  package func read(_ path: String, into bytes: inout [UInt8]) throws(DatasetError) {
    try readFile(path, into: &bytes)
  }
}

/// Files by path below the folder `root`, which is a name only.
struct FilesInMemory: DataFiles {
  let root: String
  let files: [String: [UInt8]]

  var host: String { "memory" }

  func status(_ path: String) -> FileStatus? {
    let name = relative(path)
    if let file = files[name] {
      return FileStatus(isFolder: false, bytes: file.count, inode: 0, modified: 0, changed: 0)
    }
    let isFolder = name.isEmpty || files.keys.contains { $0.hasPrefix(name + "/") }
    return isFolder ? FileStatus(isFolder: true, bytes: 0, inode: 0, modified: 0, changed: 0) : nil
  }

  func names(_ path: String) -> [String] {
    let name = relative(path)
    let prefix = name.isEmpty ? "" : name + "/"
    let below = files.keys.filter { $0.hasPrefix(prefix) }.map { $0.dropFirst(prefix.count) }
    return Array(Set(below.map { String($0.prefix { $0 != "/" }) }))
  }

  func read(_ path: String, into bytes: inout [UInt8]) throws(DatasetError) {
    guard let file = files[relative(path)] else {
      throw .unreadable(path: path, reason: "no such file in memory")
    }
    bytes = file
  }

  private func relative(_ path: String) -> String {
    let parts = path.split(separator: "/"), own = root.split(separator: "/")
    return parts.dropFirst(parts.starts(with: own) ? own.count : 0).joined(separator: "/")
  }
}
