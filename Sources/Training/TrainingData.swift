import Communication
import Datasets
import Foundation

/// The data of a run, opened alike on all ranks: folder verified, task chosen, preprocessing known.
///
/// Rank 0 lists the folder and tells the others, which ask their disks about nothing but the files that they read.
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
  /// Every image is decoded once, each rank its share, unless the data set's index says that it has been. Broken ones end
  /// the run with a list of them all, or are left out identically on every rank (`skipBadImages`). Files that are not on
  /// every host as rank 0 has listed them end it always.
  /// - Parameters:
  ///   - known: preprocessing of a checkpoint, on rank 0 at least; nil: the ranks measure the training split together.
  ///   - rebuildIndex: ask about every file anew, whatever the index says.
  public init(
    _ configuration: TrainingConfiguration, imageSize: Int, known: Preprocessing?,
    rebuildIndex: Bool = false, _ communicator: any Communicator, _ console: Console
  ) throws {
    try self.init(
      configuration, imageSize: imageSize, known: known, rebuildIndex: rebuildIndex, files: SystemFiles(),
      communicator, console)
  }

  /// The same with files of another kind.
  package init(
    _ configuration: TrainingConfiguration, imageSize: Int, known: Preprocessing?, rebuildIndex: Bool,
    files: any DataFiles, _ communicator: any Communicator, _ console: Console
  ) throws {
    // Rank 0 alone has the index.
    var index = try onAllRanks(communicator) {
      try communicator.rank == 0
        ? DatasetIndex.open(configuration.data, files, rebuild: rebuildIndex) : nil
    }
    let listing = try Self.share(index, of: configuration.data, files, communicator)
    let bad = try Self.check(listing, communicator)
    index?.setChecked(except: bad)
    if !bad.isEmpty {
      // The good ones need not be decoded again once the bad ones are mended.
      index?.save()
      guard configuration.skipBadImages else {
        throw ExitError(code: 65, "\(DatasetError.badImages(bad))", isShared: true)
      }
      for image in bad { console.warning("left out: \(image.path): \(image.reason)") }
    }
    let folder = listing.folder.excluding(bad)
    let augmentation = Augmentation(
      horizontalFlip: configuration.flip, cropMargin: Float(configuration.cropMargin),
      scaleJitter: Float(configuration.scaleJitter ?? 0), colorJitter: Float(configuration.colorJitter ?? 0))
    (task, store) = try onAllRanks(communicator) {
      let kind = configuration.positiveClass.map { LearningTask.Kind.singleCategory($0) } ?? .multiCategory
      let task = try LearningTask(
        kind, on: folder,
        positivesPerCounterExample: configuration.positivesPerCounterExample ?? LearningTask.authorsPositives)
      // Shards of a process share the memory that a rank would take.
      let store = ImageStore(
        folder, side: augmentation.resizedSide(imageSize: imageSize),
        cacheBytes: (1 << 30) / (communicator.size / communicator.processCount))
      return (task, store)
    }
    self.folder = folder
    self.augmentation = augmentation

    let key = DatasetIndex.key(
      folder, task, augmentation, imageSize: imageSize, meanKind: configuration.mean)
    if let told = try Self.share(known ?? index?.preprocessing(key), communicator) {
      preprocessing = told
    } else {
      // Worth keeping, should the measurement be interrupted.
      index?.save()
      preprocessing = try Self.measure(
        task, store, augmentation, imageSize: imageSize, meanKind: configuration.mean, communicator)
      index?.keep(preprocessing, key)
    }
    if index?.save() == false {
      console.line(
        "the list of the data set cannot be kept for the next start – \(configuration.data) and ~/.cache")
    }
  }

  /// What rank 0 has listed, on every rank.
  private static func share(
    _ index: DatasetIndex?, of directory: String, _ files: any DataFiles, _ communicator: any Communicator
  ) throws -> DatasetListing {
    let encoded = communicator.size == 1 ? [] : index?.listing.encoded() ?? []
    let told = try communicator.broadcast(encoded, root: 0)
    return try onAllRanks(communicator) {
      try index?.listing ?? DatasetListing(told, directory, files)
    }
  }

  /// What rank 0 knows, on every rank.
  private static func share(
    _ known: Preprocessing?, _ communicator: any Communicator
  ) throws -> Preprocessing? {
    let mine = try onAllRanks(communicator) {
      communicator.rank == 0 ? Array(try JSONEncoder().encode([known].compactMap { $0 })) : []
    }
    let told = try communicator.broadcast(mine, root: 0)
    return try JSONDecoder().decode([Preprocessing].self, from: Data(told)).first
  }

  /// Decodes this rank's share of the images that have never been, and looks whether this host's files are those that were
  /// listed. The unusable ones of all ranks, in the order of ranks.
  private static func check(_ listing: DatasetListing, _ communicator: any Communicator) throws -> [BadImage]
  {
    let unchecked = listing.unchecked
    let share = ShardedSampler.share(
      of: unchecked.count, rank: communicator.rank, rankCount: communicator.size)
    var mine = DatasetCheck.spotCheck(listing.folder)
    // Without the data there is no need to try them all.
    if mine.isEmpty { mine = DatasetCheck.verify(listing.folder, samples: Array(unchecked[share])) }
    let found = try communicator.allGather(DatasetCheck.encode(mine)).flatMap {
      DatasetCheck.decode($0) ?? []
    }
    let others = found.filter { $0.host != nil }
    guard others.isEmpty else {
      throw ExitError(code: 65, "\(DatasetError.otherFiles(others))", isShared: true)
    }
    return found
  }

  /// Each rank reads its share of the training images; the sums are exact, so all find the bits that one rank would.
  private static func measure(
    _ task: LearningTask, _ store: ImageStore, _ augmentation: Augmentation, imageSize: Int,
    meanKind: Preprocessing.MeanKind, _ communicator: any Communicator
  ) throws -> Preprocessing {
    var sums = try onAllRanks(communicator) {
      try ImageSums(
        task, store, imageSize: imageSize, augmentation: augmentation, rank: communicator.rank,
        rankCount: communicator.size)
    }
    sums.values = try communicator.allReduce(sums.values, .sum)
    return Preprocessing(sums, meanKind: meanKind)
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
