import Communication
import Datasets
import Networks
import Tensors

/// A network as a checkpoint holds it, ready to be used.
public struct TrainedNetwork {
  /// The network with its weights and running statistics.
  public let network: Network
  /// What the checkpoint says of itself.
  public let state: CheckpointState
  /// Where it came from.
  public let directory: String
  /// A context in evaluation mode.
  public let context: StepContext

  /// Opens a checkpoint directory, or the newest valid checkpoint of a run.
  ///
  /// - Throws: `CheckpointError`.
  public init(_ path: String, onDamaged: (CheckpointError) -> Void = { _ in }) throws {
    try self.init(Checkpoint.open(path, onDamaged: onDamaged))
  }

  /// The network of an open checkpoint.
  ///
  /// - Throws: `CheckpointError`.
  public init(_ checkpoint: Checkpoint) throws(CheckpointError) {
    let (configuration, architecture) = try checkpoint.resolvedConfiguration()
    network = architecture.build(configuration.networkOptions(outputs: checkpoint.state.outputs))
    try checkpoint.restore(network, velocities: nil)
    state = checkpoint.state
    directory = checkpoint.directory
    context = StepContext()
    context.mode = .evaluation
    context.categoryCount = state.classNames.count
  }

  /// Opens a data set to be looked at by this network. All ranks call it.
  ///
  /// - Throws: `CheckpointError.mismatch` if the data set has other classes.
  public func open(data: String, _ communicator: any Communicator, _ console: Console) throws -> TrainingData
  {
    var configuration = state.configuration
    configuration.data = data
    let opened = try TrainingData(
      configuration, imageSize: state.preprocessing.imageSize, known: state.preprocessing, communicator,
      console)
    guard opened.task.classNames == state.classNames else {
      throw CheckpointError.mismatch(
        path: directory,
        reason: "its classes are \(state.classNames), those of \(data) are \(opened.task.classNames)")
    }
    return opened
  }

  /// The images of a split in the order in which they are evaluated.
  public func entries(_ split: Split, of data: TrainingData) -> [LearningTask.Entry] {
    (split == .validation ? data.task : data.task.validatingOnTraining).validation
  }

  /// Evaluates one split of a data set, shared among the ranks.
  ///
  /// - Parameter observer: sees every layer's output meanwhile.
  public func evaluate(
    _ data: TrainingData, split: Split, _ communicator: any Communicator, _ console: Console,
    observer: (any LayerObserver)? = nil
  ) throws -> EvaluationResult {
    let configuration = state.configuration
    if communicator.size > 1 { context.exchange = RankStatistics(communicator) }
    let loader = data.evaluationLoader(split, configuration, communicator)
    loader.start(epoch: 1, throughEpoch: 1)
    network.observer = observer
    defer { network.observer = nil }
    let evaluator = Evaluator(
      network, configuration.taskLoss(outputs: state.outputs), context, communicator,
      classNames: state.classNames)
    let total = loader.sampler.entryCount
    let began = ContinuousClock.now
    return try evaluator.run(loader) { images in
      console.progress {
        // Rank 0 tells of its own share; the others keep pace.
        let done = min(images * communicator.size, total)
        let rate = Double(done) / max((ContinuousClock.now - began).inSeconds, 1e-9)
        return "evaluated \(done) of \(total) images, \(rate.fixed(1)) images/s, "
          + "\((Double(total - done) / rate).fixed(0)) s left"
      }
    }
  }
}
