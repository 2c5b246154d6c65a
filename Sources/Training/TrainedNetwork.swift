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
  /// - Throws: `CheckpointError`, or `ConfigurationError` for a network this program does not know.
  public init(_ path: String, onDamaged: (CheckpointError) -> Void = { _ in }) throws {
    let checkpoint = try Checkpoint.open(path, onDamaged: onDamaged)
    let (configuration, architecture) = try checkpoint.state.configuration.resolved()
    network = architecture.build(configuration.networkOptions(outputs: checkpoint.state.outputs))
    try checkpoint.restore(network, velocities: nil)
    state = checkpoint.state
    directory = checkpoint.directory
    context = StepContext()
    context.mode = .evaluation
    context.categoryCount = state.classNames.count
  }

  /// Evaluates one split of a data set, shared among the ranks.
  ///
  /// - Throws: `CheckpointError.mismatch` if the data set has other classes.
  public func evaluate(
    data: String, split: Split, _ communicator: any Communicator, _ console: Console
  ) throws -> EvaluationResult {
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
    if communicator.size > 1 { context.exchange = RankStatistics(communicator) }
    let loader = opened.evaluationLoader(split, configuration, communicator)
    loader.start(epoch: 1, throughEpoch: 1)
    let evaluator = Evaluator(
      network, configuration.taskLoss(outputs: state.outputs), context, communicator,
      classNames: state.classNames)
    return try evaluator.run(loader) { images in
      console.progress { "evaluated \(images) images" }
    }
  }
}
