import Communication
import Datasets
import Foundation
import Networks
import Training
import Weights

/// A tiny data set, drawn once, and runs of a few steps on it in temporary folders.
enum SmallRun {
  /// 3 categories of 10 images of 32 pixels: 24 for training, 6 for validation.
  static let data: String = {
    let path = NSTemporaryDirectory() + "icnn-training-tests-\(ProcessInfo.processInfo.processIdentifier)"
    let options = SyntheticParts.Options(categories: 3, imagesPerCategory: 10, imageSize: 32)
    try! SyntheticParts(options).write(to: path)
    return path
  }()

  /// A new folder that is removed after `body`.
  static func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    let path = NSTemporaryDirectory() + "icnn-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try body(path)
  }

  /// An interpretable network with dropout, augmentation and synchronised batch norm; batches of 7 leave a last
  /// batch of 3 images.
  static func configuration(steps: Int) -> TrainingConfiguration {
    var configuration = TrainingConfiguration()
    configuration.data = data
    configuration.imageSize = 16
    configuration.batchSize = 7
    configuration.steps = steps
    configuration.learningRate = 0.01
    configuration.schedule = .constant
    configuration.loaderThreads = 1
    configuration.filterLossWarmupEpochs = 0
    // Thirteen buckets, so that their order and overlap matter.
    configuration.bucketSize = .mebibytes(0.25)
    configuration.checkpointEverySteps = 1000
    configuration.keepCheckpoints = 100
    return configuration
  }

  /// What a run left behind.
  struct Result: Sendable {
    var losses: [Double] = []
    var filtersPerCategory: [[Int]] = []
    var outcome = Trainer.Outcome.finished
    var state: CheckpointState?
    /// Files of the last checkpoint by name.
    var files: [String: [UInt8]] = [:]
  }

  /// Trains on `ranks` threads; the result is rank 0's.
  static func train(
    _ configuration: TrainingConfiguration, ranks: Int, output: String, resume: Bool = false
  ) throws -> Result {
    var result = try InProcessGroup.run(size: ranks) { communicator -> Result in
      let trainer = try Trainer(
        configuration, output: output, resume: resume, communicator, Console(isSpeaking: false))
      var result = Result()
      trainer.onStep = { report in
        result.losses.append(report.loss)
        result.filtersPerCategory.append(contentsOf: report.filters.map(\.filtersPerCategory))
      }
      result.outcome = try trainer.train()
      return result
    }[0]
    let checkpoint = try Checkpoint.open(output)
    result.state = checkpoint.state
    for name in try FileManager.default.contentsOfDirectory(atPath: checkpoint.directory) {
      result.files[name] = Array(
        try Data(contentsOf: URL(fileURLWithPath: checkpoint.directory + "/" + name)))
    }
    return result
  }

  /// Makes a run look as if it had been killed after the checkpoint of that step. A run that is told to take so few steps is
  /// another one: its rates and shares are those of a shorter run.
  static func rewind(_ run: String, to step: Int) throws {
    let folder = run + "/checkpoints"
    let last = String(format: "step-%08d", step)
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) where name > last {
      try FileManager.default.removeItem(atPath: folder + "/" + name)
    }
  }

  /// All values of a checkpoint's tensors of one file.
  static func values(_ run: String, _ file: String = "model.safetensors") throws -> [Float] {
    let reader = try SafeTensors.Reader(path: try Checkpoint.open(run).directory + "/" + file)
    return try reader.tensors.keys.sorted().flatMap { try reader.floats($0) }
  }

  /// Largest difference, relative to the largest value.
  static func difference(_ a: [Float], _ b: [Float]) -> Float {
    let scale = b.reduce(0) { max($0, abs($1)) }
    return zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) } / max(scale, 1e-30)
  }
}
