/// What can go wrong with a checkpoint or a weights file.
public enum CheckpointError: Error, Sendable, CustomStringConvertible {
  /// Nothing is there.
  case missing(path: String)
  /// It is there and cannot be opened.
  case cannotRead(path: String, reason: String)
  /// It is not what was written: cut short, a flipped bit, another format.
  case damaged(path: String, reason: String)
  /// It is whole, but of another network or data set.
  case mismatch(path: String, reason: String)
  /// Disk full, read-only, no permission.
  case cannotWrite(path: String, reason: String)
  /// A value that must be finite is not; nothing was written.
  case notFinite(path: String, parameter: String)

  /// sysexits: 65 bad data, 66 missing input, 70 numerical breakdown, 74 disk.
  public var exitCode: Int32 {
    switch self {
    case .missing: 66
    case .damaged, .mismatch: 65
    case .cannotRead, .cannotWrite: 74
    case .notFinite: 70
    }
  }

  /// What failed – where – what to do.
  public var description: String {
    switch self {
    case .missing(let path): "no checkpoint – \(path) – give the path of a checkpoint or of a run"
    case .cannotRead(let path, let reason): "a file cannot be read – \(path): \(reason) – check permissions"
    case .damaged(let path, let reason):
      "a file is damaged – \(path): \(reason) – use an earlier checkpoint of the run"
    case .mismatch(let path, let reason):
      "a checkpoint does not fit – \(path): \(reason) – use the options and data it was trained with"
    case .cannotWrite(let path, let reason):
      "a checkpoint cannot be written – \(path): \(reason) – the checkpoints before it are intact"
    case .notFinite(let path, let parameter):
      "no checkpoint is written – \(path): \(parameter) holds NaN or infinity – resume from the last one"
    }
  }
}
