import Glibc

/// Where MPI keeps the memory that processes of a node share.
public struct SharedMemoryFolder: Sendable, Equatable {
  /// /dev/shm, or what Open MPI is told by its parameter osc_sm_backing_directory.
  public static var current: SharedMemoryFolder {
    SharedMemoryFolder(
      path: getenv("OMPI_MCA_osc_sm_backing_directory").map { String(cString: $0) } ?? "/dev/shm")
  }

  /// The folder.
  public let path: String

  /// A folder of that name.
  public init(path: String) { self.path = path }

  /// Bytes that are free there; nil if there is no such folder or this process must not write into it.
  public var freeBytes: Int? {
    var status = statvfs()
    guard access(path, W_OK) == 0, statvfs(path, &status) == 0 else { return nil }
    return Int(status.f_bavail) * Int(status.f_frsize)
  }

  /// Why `bytes` do not fit there; nil if they do.
  func obstacle(to bytes: Int) -> String? {
    guard let freeBytes else { return "\(path) cannot be written" }
    // A little is left to MPI's own messages.
    if bytes + bytes / 16 <= freeBytes { return nil }
    return "\(path) has \(freeBytes >> 20) MiB free, \((bytes + bytes / 16) >> 20) MiB are needed"
  }
}
