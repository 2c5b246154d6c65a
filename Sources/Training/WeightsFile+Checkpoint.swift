import Foundation
import Networks
import Weights

extension WeightsFile {
  /// Opens a file of weights, a checkpoint, or the newest valid checkpoint of a run.
  ///
  /// - Throws: `WeightsError` for files, `CheckpointError` for checkpoints.
  public static func open(_ path: String) throws -> WeightsFile {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), isDirectory.boolValue
    else {
      return try WeightsFile(path: path)
    }
    return try WeightsFile(Checkpoint.open(path))
  }

  /// The weights and running statistics of a checkpoint.
  ///
  /// - Throws: `WeightsError` if its file cannot be read.
  public init(_ checkpoint: Checkpoint) throws(WeightsError) {
    let file = try WeightsFile(path: checkpoint.modelPath)
    self.init(
      path: checkpoint.directory, format: .checkpoint, tensors: file.tensors, metadata: file.metadata,
      statedArchitecture: checkpoint.state.configuration.network,
      statedPreprocessing: checkpoint.state.preprocessing)
  }
}
