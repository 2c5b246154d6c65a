import Communication
import Datasets
import Foundation

/// The data of a run, opened alike on all ranks: folder verified, task chosen, preprocessing known.
public struct TrainingData: Sendable {
  /// The folder, without the images that are left out.
  public let folder: ImageFolder
  /// What is learned from it.
  public let task: LearningTask
  /// Decoded and resized images.
  public let store: ImageStore
  /// Random changes of training images.
  public let augmentation: Augmentation
  /// From pixels to inputs.
  public let preprocessing: Preprocessing

  /// Opens and verifies the data of `configuration`. All ranks call it; it fails on all or on none.
  ///
  /// Every image is decoded once, each rank its share. Broken ones end the run with a list of them all, or are left
  /// out identically on every rank (`skipBadImages`).
  /// - Parameter known: preprocessing of a checkpoint; nil: rank 0 measures the training split.
  public init(
    _ configuration: TrainingConfiguration, imageSize: Int, known: Preprocessing?,
    _ communicator: any Communicator, _ console: Console
  ) throws {
    let verified = try onAllRanks(communicator) {
      let folder = try ImageFolder(configuration.data)
      return (folder, Self.verify(folder, communicator))
    }
    let bad = try communicator.allGather(DatasetCheck.encode(verified.1)).flatMap {
      DatasetCheck.decode($0) ?? []
    }
    if !bad.isEmpty {
      guard configuration.skipBadImages else {
        throw ExitError(code: 65, "\(DatasetError.badImages(bad))", isShared: true)
      }
      for image in bad { console.warning("left out: \(image.path): \(image.reason)") }
    }
    let folder = verified.0.excluding(bad)
    let augmentation = Augmentation(
      horizontalFlip: configuration.flip, cropMargin: Float(configuration.cropMargin),
      scaleJitter: Float(configuration.scaleJitter ?? 0), colorJitter: Float(configuration.colorJitter ?? 0))
    let prepared = try onAllRanks(communicator) {
      let kind = configuration.positiveClass.map { LearningTask.Kind.singleCategory($0) } ?? .multiCategory
      let task = try LearningTask(
        kind, on: folder,
        positivesPerCounterExample: configuration.positivesPerCounterExample ?? LearningTask.authorsPositives)
      // Shards of a process share the memory that a rank would take.
      let store = ImageStore(
        folder, side: augmentation.resizedSide(imageSize: imageSize),
        cacheBytes: (1 << 30) / (communicator.size / communicator.processCount))
      // One rank measures and tells the others, so that all subtract the same bits.
      let measured =
        try known
        ?? (communicator.rank == 0
          ? Preprocessing.measure(
            task, store, imageSize: imageSize, meanKind: configuration.mean, augmentation: augmentation)
          : nil)
      return (task, store, measured)
    }
    self.folder = folder
    self.augmentation = augmentation
    task = prepared.0
    store = prepared.1
    let mine = try communicator.rank == 0 ? Array(JSONEncoder().encode(prepared.2)) : []
    preprocessing = try JSONDecoder().decode(
      Preprocessing.self, from: Data(try communicator.allGather(mine)[0]))
  }

  /// A loader of this rank's shares of one split, in order and unaltered.
  func evaluationLoader(
    _ split: Split, _ configuration: TrainingConfiguration, _ communicator: any Communicator
  ) -> BatchLoader {
    BatchLoader(
      split == .validation ? task : task.validatingOnTraining, store,
      BatchLoader.Configuration(
        split: .validation, batchSize: configuration.batchSize, rank: communicator.rank,
        rankCount: communicator.size, preprocessing: preprocessing, augmentation: augmentation,
        threadCount: configuration.loaderThreadCount))
  }

  /// This rank's share of the images, each decoded once.
  private static func verify(_ folder: ImageFolder, _ communicator: any Communicator) -> [BadImage] {
    let share = ShardedSampler.share(
      of: folder.samples.count, rank: communicator.rank, rankCount: communicator.size)
    return DatasetCheck.verify(folder, range: share)
  }

  /// A loader of this rank's shares, idle until started.
  func loader(_ split: Split, _ configuration: TrainingConfiguration, _ communicator: any Communicator)
    -> BatchLoader
  {
    BatchLoader(
      task, store,
      BatchLoader.Configuration(
        split: split, batchSize: configuration.batchSize / configuration.accumulate, rank: communicator.rank,
        rankCount: communicator.size, seed: configuration.seed, preprocessing: preprocessing,
        augmentation: augmentation, threadCount: configuration.loaderThreadCount))
  }
}

extension DatasetError: ErrorWithExitCode {}
