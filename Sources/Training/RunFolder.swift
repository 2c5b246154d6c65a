import Foundation
import Glibc

/// The folder of one training run: `config.yaml`, `metrics.jsonl`, `checkpoints/`, `lock`. Rank 0 alone touches it, and no
/// other training does while one of its copies lives.
public struct RunFolder: Sendable {
  /// Path of the folder.
  public let path: String

  /// Where the checkpoints lie.
  public var checkpoints: String { path + "/checkpoints" }
  /// The log of steps and validations.
  public var metrics: String { path + "/metrics.jsonl" }
  private var configuration: String { path + "/config.yaml" }
  private let lock: RunLock

  /// Creates the folder, or takes it over for a resume.
  ///
  /// - Parameter patienceSeconds: how long to wait for another training that may be about to end.
  /// - Throws: code 64 if it holds another run and `resume` is false; 74 if it cannot be written; 75 if another process
  ///   trains in it.
  public init(_ path: String, resume: Bool, patienceSeconds: Double = 10) throws(ExitError) {
    self.path = path
    let files = FileManager.default
    let holdsRun =
      files.fileExists(atPath: path + "/metrics.jsonl")
      || !Checkpoint.names(in: path + "/checkpoints").isEmpty
    if holdsRun && !resume {
      throw ExitError(
        code: 64,
        "the output folder holds another run – \(path) – continue it with --resume, or choose another folder")
    }
    let folder = path + "/checkpoints"
    do {
      try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      let cause = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
      throw ExitError(
        code: 74,
        "the output folder cannot be made – \(path): \((cause ?? error as NSError).localizedDescription) – "
          + "choose another --output")
    }
    guard access(folder, W_OK) == 0 else {
      throw ExitError(
        code: 74,
        "the output folder cannot be written – \(path): \(String(cString: strerror(errno))) – "
          + "choose another --output")
    }
    lock = try RunLock(run: path, patienceSeconds: patienceSeconds)
  }

  /// Echoes the whole configuration into the folder.
  public func write(_ value: TrainingConfiguration) throws(ExitError) {
    do {
      try value.yaml().write(toFile: configuration, atomically: true, encoding: .utf8)
    } catch {
      let cause = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
      throw ExitError(
        code: 74,
        "the configuration cannot be written – \(configuration): "
          + "\((cause ?? error as NSError).localizedDescription) – choose another --output")
    }
  }
}
