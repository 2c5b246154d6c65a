/// What can go wrong with a file of weights.
public enum WeightsError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Nothing is there.
  case missing(path: String)
  /// It is there and cannot be opened.
  case cannotRead(path: String, reason: String)
  /// It is not what its format says: cut short, a flipped bit, another format.
  case damaged(path: String, reason: String)
  /// It is whole and asks for something that is not done here.
  case unsupported(path: String, reason: String)
  /// It is whole, but of another network.
  case mismatch(path: String, reason: String)
  /// It is whole, but cannot be had in the format that is asked for.
  case cannotExport(path: String, reason: String)
  /// Disk full, read-only, no permission.
  case cannotWrite(path: String, reason: String)

  /// sysexits: 65 bad data, 66 missing input, 74 disk.
  public var exitCode: Int32 {
    switch self {
    case .missing: 66
    case .damaged, .unsupported, .mismatch, .cannotExport: 65
    case .cannotRead, .cannotWrite: 74
    }
  }

  /// What failed – where – what to do.
  public var description: String {
    switch self {
    case .missing(let path): "there are no weights – \(path) – give the path of a file or of a checkpoint"
    case .cannotRead(let path, let reason): "a file cannot be read – \(path): \(reason) – check permissions"
    case .damaged(let path, let reason): "weights are damaged – \(path): \(reason) – fetch the file again"
    case .unsupported(let path, let reason):
      "weights are not understood – \(path): \(reason) – save the state_dict() of the model, or safetensors"
    case .mismatch(let path, let reason):
      "weights do not fit – \(path): \(reason) – icnn weights show tells what a file holds"
    case .cannotExport(let path, let reason):
      "weights cannot be exported – \(path): \(reason) – safetensors holds every network"
    case .cannotWrite(let path, let reason):
      "weights cannot be written – \(path): \(reason) – check the disk and permissions"
    }
  }
}
