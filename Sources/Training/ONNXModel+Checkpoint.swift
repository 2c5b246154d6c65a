import Weights

extension ONNXModel {
  /// The model of a file of weights, a checkpoint, or the newest valid checkpoint of a run.
  ///
  /// - Parameter match: which network a file is of, where that is not a checkpoint's.
  /// - Throws: `WeightsError` for files, `CheckpointError` for checkpoints.
  public static func open(_ path: String, match: (WeightsFile) throws -> ArchitectureMatch?) throws
    -> ONNXModel
  {
    guard WeightsFile.isFolder(path) else {
      let file = try WeightsFile(path: path)
      return try ONNXModel(file, match(file))
    }
    let checkpoint = try Checkpoint.open(path)
    return try ONNXModel(
      TrainedNetwork(checkpoint).network, checkpoint.state.preprocessing,
      metadata: WeightsFile(checkpoint).metadata, source: checkpoint.directory)
  }
}
