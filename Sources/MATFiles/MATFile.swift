import CMATReader
import Glibc

/// A MATLAB file of version 5 (also compressed, "v7") or 7.3 (HDF5).
///
/// Variables are read by libmatio in a child process with limits of memory and processor time, because neither libmatio nor
/// HDF5 survives every damaged file (docs/adr/0014-matlab-files.md). Any number of threads may read at once.
public struct MATFile: Sendable {
  /// As it was given.
  public let path: String
  /// Length in bytes.
  public let bytes: Int

  /// Processor time a child may take. HDF5 runs in circles on some damaged files. What is whole is read at tens of MB/s,
  /// unless it is a version 7.3 file of many small structures: one of 1.6 MiB, of 414 objects, takes matio 1.5.23 a minute.
  private let processorSeconds: UInt32
  /// Bytes of values that one variable may have: what VGG-16 needs, with room, for a small file as well.
  private static let leastMemoryBytes = 1 << 30

  /// Looks at the file's first bytes. Throws `.missing`, `.unreadable` and `.notMATLAB`.
  public init(_ path: String) throws(MATFileError) { try self.init(path, leastSeconds: 600) }

  init(_ path: String, leastSeconds: Int) throws(MATFileError) {
    self.path = path
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      if errno == ENOENT || errno == ENOTDIR { throw .missing(path: path) }
      throw .unreadable(path: path, reason: String(cString: strerror(errno)))
    }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0 else {
      throw .unreadable(path: path, reason: String(cString: strerror(errno)))
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw .unreadable(path: path, reason: "not a regular file")
    }
    bytes = Int(status.st_size)
    processorSeconds = UInt32(leastSeconds + min(bytes >> 20, 1 << 20))
    var header = [UInt8](repeating: 0, count: 128)
    let count = header.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
    guard count >= 0 else { throw .unreadable(path: path, reason: String(cString: strerror(errno))) }
    try Self.check(header, count: count, path: path)
    try Self.checkElements(file, header, bytes: bytes, path: path)
  }

  /// Version 5 is a row of elements with their lengths. libmatio reads what is left of one that was cut short as if the
  /// rest were empty.
  private static func checkElements(
    _ file: Int32, _ header: [UInt8], bytes: Int, path: String
  ) throws(MATFileError) {
    let isLittle = header[126] == UInt8(ascii: "I")
    guard (isLittle ? header[125] : header[124]) == 1 else { return }
    var offset = header.count
    while offset + 8 <= bytes {
      var tag = [UInt32](repeating: 0, count: 2)
      let count = tag.withUnsafeMutableBytes { pread(file, $0.baseAddress, 8, offset) }
      guard count == 8 else { throw .unreadable(path: path, reason: String(cString: strerror(errno))) }
      let length = Int(isLittle ? UInt32(littleEndian: tag[1]) : UInt32(bigEndian: tag[1]))
      guard offset + 8 + length <= bytes else {
        throw .damaged(
          path: path, reason: "cut short: an element of \(length) bytes at \(offset), \(bytes) bytes in all")
      }
      offset += 8 + length
    }
  }

  /// The header of versions 5 and 7.3: 116 bytes of text, then version and byte order.
  private static func check(_ header: [UInt8], count: Int, path: String) throws(MATFileError) {
    guard count > 0 else { throw .notMATLAB(path: path, found: "an empty file") }
    if header.starts(with: "version https://git-lfs".utf8) {
      throw .notMATLAB(path: path, found: "a pointer of Git LFS; `git lfs pull` fetches the file")
    }
    guard count == 128 else { throw .notMATLAB(path: path, found: "only \(count) bytes") }
    let order = (header[126], header[127])
    let isLittle = order == (UInt8(ascii: "I"), UInt8(ascii: "M"))
    guard isLittle || order == (UInt8(ascii: "M"), UInt8(ascii: "I")) else {
      throw .notMATLAB(path: path, found: "no header of these versions")
    }
    let version = isLittle ? (header[125], header[124]) : (header[124], header[125])
    guard version == (1, 0) || version == (2, 0) else {
      throw .notMATLAB(path: path, found: "version \(version.0).\(version.1) of the format")
    }
  }

  /// Reads a variable whole. Throws `.noVariable` and `.damaged`, and `.unreadable` if no process can be started.
  public func read(_ name: String) throws(MATFileError) -> MATNode {
    // Compressed masks are hundreds of times smaller than they become; what they become is small.
    let limit = Self.leastMemoryBytes + 16 * bytes
    var descriptor: Int32 = -1
    let child = cmat_start(path, name, UInt64(limit), processorSeconds, &descriptor)
    guard child > 0 else {
      throw .unreadable(path: path, reason: "no process to read it in: \(String(cString: strerror(errno)))")
    }
    let result: Result<MATValue, MATStream.Failure>
    do throws(MATStream.Failure) {
      var stream = MATStream(descriptor, limit: limit)
      result = .success(try stream.readVariable())
    } catch {
      result = .failure(error)
    }
    // A child that still has something to say ends now.
    close(descriptor)
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0 && errno == EINTR {}
    switch result {
    case .success(let value): return MATNode(value, path: path, place: name)
    case .failure(.noVariable(let found)): throw .noVariable(path: path, name: name, found: found)
    case .failure(.refused(let words)): throw .damaged(path: path, reason: words)
    case .failure(.tooLong):
      throw .damaged(path: path, reason: "it claims more than \(limit >> 20) MiB of values")
    case .failure(.broken): throw .damaged(path: path, reason: Self.explain(status))
    }
  }

  private static func explain(_ status: Int32) -> String {
    let signal = status & 0x7f
    return switch signal {
    case 0: "libmatio gave up"
    case SIGXCPU, SIGKILL, SIGALRM: "libmatio did not come to an end with it"
    default: "libmatio met signal \(signal)"
    }
  }
}
