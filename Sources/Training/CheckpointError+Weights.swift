import Weights

extension WeightsError: ErrorWithExitCode {}

extension CheckpointError {
  /// The same of a file that belongs to a checkpoint.
  init(_ error: WeightsError) {
    self =
      switch error {
      case .missing(let path): .missing(path: path)
      case .cannotRead(let path, let reason): .cannotRead(path: path, reason: reason)
      case .damaged(let path, let reason), .unsupported(let path, let reason):
        .damaged(path: path, reason: reason)
      case .mismatch(let path, let reason), .cannotExport(let path, let reason):
        .mismatch(path: path, reason: reason)
      case .cannotWrite(let path, let reason): .cannotWrite(path: path, reason: reason)
      }
  }

  /// What `body` returns; its errors become those of a checkpoint.
  static func rethrown<Result>(_ body: () throws(WeightsError) -> Result) throws(CheckpointError) -> Result {
    do throws(WeightsError) { return try body() } catch { throw CheckpointError(error) }
  }
}
