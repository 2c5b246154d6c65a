import Communication
import Networks
import Tensors

/// Times the computation of a rank: the step of `Benchmark`, with everything that it would ask of other ranks, but without them.
final class StepRehearsal {
  private let communicator = Rehearsal(size: 2)
  private let benchmark: Benchmark
  private let images: Int
  private let timeline = Timeline(capacity: 1 << 14)

  /// A step on `images` images, of a training as `configuration` describes it.
  init(
    _ configuration: TrainingConfiguration, _ architecture: Architecture, classes: Int, images: Int
  ) throws {
    var configuration = configuration
    configuration.reduction = .plain
    configuration.gradientExchange = .float32
    configuration.bucketSize = .mebibytes(BucketSize.usualMebibytes)
    configuration.batchSize = communicator.size * images
    self.images = images
    benchmark = try Benchmark(configuration, architecture, classes: classes, communicator)
  }

  deinit { communicator.finalize() }

  /// Learned values, without padding.
  var parameterCount: Int { benchmark.step.network.store.parameterCount }

  /// The script of the usual one of so many steps.
  func record(steps: Int, warmupSteps: Int) throws -> StepScript {
    for _ in 0..<warmupSteps { _ = try benchmark.runStep() }
    communicator.heartbeat.timeline = timeline
    defer { communicator.heartbeat.timeline = nil }
    var scripts: [StepScript] = []
    for _ in 0..<steps {
      for buffer in timeline.buffers { buffer.removeAll() }
      timeline.isRecording = true
      let begin = Timeline.now
      _ = try benchmark.runStep()
      let end = Timeline.now
      timeline.isRecording = false
      precondition(timeline.training.droppedCount == 0, "a step of more than \(1 << 14) actions")
      scripts.append(
        StepScript(
          timeline, begin: begin, end: end, images: images, gradientCount: benchmark.step.network.store.count)
      )
    }
    guard let script = StepScript.usual(of: scripts) else {
      throw ExitError(code: 70, "the steps of one network differ in what they ask of other ranks")
    }
    return script
  }

  /// Seconds of each of so many steps.
  func time(steps: Int) throws -> [Double] {
    try (0..<steps).map { _ in try benchmark.runStep().times.total }
  }
}
