import Glibc

/// What the system says went wrong last.
func systemError() -> String { String(cString: strerror(errno)) }

/// Whether a folder, or a link to one, lies at `path`.
func isFolder(_ path: String) -> Bool {
  var status = stat()
  return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
}

/// Names in a folder, without "." and "..", in no particular order.
func listFolder(_ path: String) throws(DatasetError) -> [String] {
  guard let folder = opendir(path) else { throw .unreadable(path: path, reason: systemError()) }
  defer { closedir(folder) }
  var names: [String] = []
  while let entry = readdir(folder) {
    let name = withUnsafeBytes(of: &entry.pointee.d_name) {
      String(cString: $0.baseAddress!.assumingMemoryBound(to: CChar.self))
    }
    if name != "." && name != ".." { names.append(name) }
  }
  return names
}

/// Replaces `bytes` by the content of the file at `path`.
func readFile(_ path: String, into bytes: inout [UInt8]) throws(DatasetError) {
  let file = open(path, O_RDONLY | O_CLOEXEC)
  guard file >= 0 else { throw .unreadable(path: path, reason: systemError()) }
  defer { close(file) }
  var status = stat()
  guard fstat(file, &status) == 0 else { throw .unreadable(path: path, reason: systemError()) }
  guard status.st_mode & S_IFMT == S_IFREG else {
    throw .unreadable(path: path, reason: "not a regular file")
  }
  let length = Int(status.st_size)
  bytes.resize(to: length)
  var done = 0
  while done < length {
    let count = bytes.withUnsafeMutableBytes { read(file, $0.baseAddress! + done, length - done) }
    if count < 0 && errno == EINTR { continue }
    guard count > 0 else {
      throw .unreadable(path: path, reason: count == 0 ? "the file became shorter" : systemError())
    }
    done += count
  }
}

/// Writes a file, replacing what was there.
func writeFile(_ path: String, _ bytes: [UInt8]) throws(DatasetError) {
  let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
  guard file >= 0 else { throw .writeFailed(path: path, reason: systemError()) }
  var done = 0
  while done < bytes.count {
    let count = bytes.withUnsafeBytes { write(file, $0.baseAddress! + done, bytes.count - done) }
    if count < 0 && errno == EINTR { continue }
    guard count >= 0 else {
      let reason = systemError()
      close(file)
      throw .writeFailed(path: path, reason: reason)
    }
    done += count
  }
  guard close(file) == 0 else { throw .writeFailed(path: path, reason: systemError()) }
}

/// Creates a folder and those above it.
func makeFolder(_ path: String) throws(DatasetError) {
  if isFolder(path) { return }
  if let slash = path.lastIndex(of: "/"), slash > path.startIndex { try makeFolder(String(path[..<slash])) }
  guard mkdir(path, 0o755) == 0 || errno == EEXIST else {
    throw .writeFailed(path: path, reason: systemError())
  }
}
