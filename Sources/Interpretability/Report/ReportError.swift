/// Why a report cannot be made. The description reads: what failed – where – what to do.
public enum ReportError: Error, Sendable, Equatable, CustomStringConvertible {
  /// A run's log is missing or cannot be read.
  case unreadableLog(path: String, reason: String)

  /// The process's exit code (sysexits): 66, an input is missing.
  public var exitCode: Int32 { 66 }

  /// What failed – where – what to do.
  public var description: String {
    switch self {
    case .unreadableLog(let path, let reason):
      "the training log cannot be read – \(path): \(reason) – give the folder of a run, which holds metrics.jsonl"
    }
  }
}
