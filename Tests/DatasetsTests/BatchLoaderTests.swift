import Foundation
import Tensors
import Testing

@testable import Datasets

@Suite struct BatchLoaderTests {
  static let imageSize = 6

  /// What a batch held, kept after it is recycled.
  struct Record: Equatable {
    var pixels: [Float], categories: [Int32], signs: [Float], keys: [UInt64], samples: [Int]
    var globalBatchSize: Int, shareOffset: Int, epoch: Int, index: Int, isLast: Bool

    init(_ batch: Batch) {
      pixels = Array(batch.images.values)
      categories = batch.categories
      signs = batch.signs
      keys = batch.sampleKeys
      samples = batch.sampleIndices
      globalBatchSize = batch.globalBatchSize
      shareOffset = batch.shareOffset
      epoch = batch.epoch
      index = batch.indexInEpoch
      isLast = batch.isLastOfEpoch
    }
  }

  /// 20 + 13 + 4 images in three classes and 5 counter-examples.
  let folder: TemporaryFolder
  let task: LearningTask
  let store: ImageStore
  let augmentation = Augmentation(horizontalFlip: true, cropMargin: 0.3, scaleJitter: 0.2, colorJitter: 0.2)
  let preprocessing: Preprocessing

  init() throws {
    folder = TemporaryFolder()
    writeClasses(folder, [("cat", 20), ("dog", 13), ("eel", 4), ("negative", 5)])
    let images = try ImageFolder(folder.path)
    task = try LearningTask(.multiCategory, on: images)
    store = ImageStore(images, side: augmentation.resizedSide(imageSize: Self.imageSize))
    preprocessing = Preprocessing(
      try ImageSums(task, store, imageSize: Self.imageSize, augmentation: augmentation), meanKind: .pixel)
  }

  func configuration(_ split: Split = .training, batchSize: Int, rank: Int = 0, of ranks: Int = 1)
    -> BatchLoader
    .Configuration
  {
    BatchLoader.Configuration(
      split: split, batchSize: batchSize, rank: rank, rankCount: ranks, seed: 5, preprocessing: preprocessing,
      augmentation: augmentation, threadCount: 2)
  }

  func records(_ loader: BatchLoader, epoch: Int = 1, batch: Int = 0, through: Int = 2) throws -> [Record] {
    loader.start(epoch: epoch, batch: batch, throughEpoch: through)
    var records: [Record] = []
    while let batch = try loader.next() {
      records.append(Record(batch))
      loader.recycle(batch)
    }
    return records
  }

  @Test(arguments: [1, 2, 3, 4, 5]) func ranksTakeSlicesOfTheSameBatches(rankCount: Int) throws {
    // 33 training images in batches of 8 leave a last batch of 1: most ranks then hold nothing.
    let whole = try records(BatchLoader(task, store, configuration(batchSize: 8)))
    let ranks = try (0..<rankCount).map {
      try records(BatchLoader(task, store, configuration(batchSize: 8, rank: $0, of: rankCount)))
    }
    #expect(whole.count == 10)
    for (index, batch) in whole.enumerated() {
      let shares = ranks.map { $0[index] }
      #expect(shares.flatMap(\.pixels) == batch.pixels)
      #expect(shares.flatMap(\.categories) == batch.categories)
      #expect(shares.flatMap(\.signs) == batch.signs)
      #expect(shares.flatMap(\.keys) == batch.keys)
      #expect(shares.flatMap(\.samples) == batch.samples)
      #expect(shares.allSatisfy { $0.globalBatchSize == batch.samples.count })
      var offset = 0
      for share in shares {
        #expect(share.shareOffset == offset)
        offset += share.samples.count
      }
    }
  }

  @Test func labelsBelongToTheImages() throws {
    for record in try records(BatchLoader(task, store, configuration(batchSize: 8))) {
      for (i, sample) in record.samples.enumerated() {
        let category = store.folder.samples[sample].category
        #expect(record.categories[i] == Int32(category))
        #expect(Array(record.signs[(3 * i)..<(3 * i + 3)]) == (0..<3).map { $0 == category ? 1 : -1 })
      }
    }
  }

  @Test func everyEpochHoldsEverySampleInAnotherOrder() throws {
    let all = try records(BatchLoader(task, store, configuration(batchSize: 8)))
    let epochs = [1, 2].map { epoch in all.filter { $0.epoch == epoch }.flatMap(\.samples) }
    let expected = task.training.map(\.sample)
    #expect(epochs[0].sorted() == expected && epochs[1].sorted() == expected)
    #expect(epochs[0] != epochs[1] && epochs[0] != expected)
    #expect(all.map(\.isLast) == [false, false, false, false, true, false, false, false, false, true])
  }

  @Test func validationIsInOrderAndTheSameEveryTime() throws {
    let loader = BatchLoader(task, store, configuration(.validation, batchSize: 3))
    let first = try records(loader, through: 1)
    #expect(first.flatMap(\.samples) == task.validation.map(\.sample))
    let second = try records(loader, epoch: 2, through: 2)
    #expect(first.map(\.pixels) == second.map(\.pixels))
  }

  @Test(arguments: [(1, 3), (2, 0), (2, 4), (2, 5)]) func resumesAnywhere(epoch: Int, batch: Int) throws {
    let all = try records(BatchLoader(task, store, configuration(batchSize: 8)), through: 3)
    let rest = try records(
      BatchLoader(task, store, configuration(batchSize: 8)), epoch: epoch, batch: batch, through: 3)
    #expect(rest == Array(all.dropFirst((epoch - 1) * 5 + batch)))
    #expect(!rest.isEmpty)
  }

  @Test func startingAnewDropsWhatWasLoadedAhead() throws {
    let loader = BatchLoader(task, store, configuration(batchSize: 8))
    let first = try records(loader)
    loader.start(epoch: 7)
    let held = try #require(try loader.next())
    loader.start(epoch: 1, throughEpoch: 2)
    loader.recycle(held)
    var second: [Record] = []
    while let batch = try loader.next() {
      second.append(Record(batch))
      loader.recycle(batch)
    }
    #expect(second == first)
    #expect(try loader.next() == nil)
  }

  /// No cache, room for five images, room for all: the same numbers.
  @Test func theCacheChangesNothing() throws {
    let reference = try records(BatchLoader(task, store, configuration(batchSize: 8)))
    #expect(
      store.cachedBytes == store.folder.counts(.training).dropLast().reduce(0, +) * store.imageCount * 4)
    for images in [0, 5] {
      let limited = ImageStore(store.folder, side: store.side, cacheBytes: images * store.imageCount * 4 + 7)
      #expect(try records(BatchLoader(task, limited, configuration(batchSize: 8))) == reference)
      #expect(limited.cachedBytes == images * store.imageCount * 4)
    }
  }

  @Test func decodedImagesAreNotReadAgain() throws {
    let loader = BatchLoader(task, store, configuration(batchSize: 8))
    let first = try records(loader)
    for sample in store.folder.samples where sample.split == .training { folder.remove(sample.path) }
    #expect(try records(loader) == first)
  }

  @Test(arguments: [1, 2, 5]) func threadsChangeNothing(threadCount: Int) throws {
    let reference = try records(BatchLoader(task, store, configuration(batchSize: 8)))
    var other = configuration(batchSize: 8)
    other.threadCount = threadCount
    other.batchesAhead = threadCount
    let uncached = ImageStore(store.folder, side: store.side, cacheBytes: 0)
    #expect(try records(BatchLoader(task, uncached, other)) == reference)
  }

  @Test func batchesAreUsedAgain() throws {
    let loader = BatchLoader(task, store, configuration(batchSize: 8))
    loader.start(epoch: 1)
    var addresses = Set<UnsafeMutablePointer<Float>>()
    for _ in 0..<20 {
      let batch = try #require(try loader.next())
      addresses.insert(batch.images.pointer)
      loader.recycle(batch)
    }
    #expect(addresses.count <= 3)
    #expect(loader.waitSeconds > 0)
  }

  @Test func augmentationActsOnTrainingAlone() throws {
    var plain = configuration(batchSize: 8)
    plain.augmentation = Augmentation(cropMargin: 0.3)
    let a = try records(BatchLoader(task, store, configuration(batchSize: 8)))
    let b = try records(BatchLoader(task, store, plain))
    #expect(a.map(\.samples) == b.map(\.samples) && a.map(\.pixels) != b.map(\.pixels))
    let sampleA = try #require(a.flatMap(\.samples).firstIndex(of: 0))
    let sampleB = try #require(a.flatMap(\.samples).lastIndex(of: 0))
    let values = Self.imageSize * Self.imageSize * 3
    let pixels = a.flatMap(\.pixels)
    #expect(sampleA != sampleB)
    #expect(
      pixels[(sampleA * values)..<((sampleA + 1) * values)]
        != pixels[(sampleB * values)..<((sampleB + 1) * values)])
    plain.split = .validation
    var validation = configuration(.validation, batchSize: 8)
    validation.seed = 99
    #expect(
      try records(BatchLoader(task, store, plain)) == records(BatchLoader(task, store, validation)))
  }

  // MARK: - Ends

  @Test(.timeLimit(.minutes(1)), arguments: [0, 1, 4]) func stopsEarly(batchesTaken: Int) throws {
    weak var core: LoaderCore?
    do {
      let loader = BatchLoader(task, store, configuration(batchSize: 8))
      core = loader.core
      #expect(core != nil)
      loader.start(epoch: 1)
      for _ in 0..<batchesTaken { loader.recycle(try #require(try loader.next())) }
    }
    // Every thread holds the core while it runs.
    #expect(core == nil)
  }

  @Test(.timeLimit(.minutes(1))) func anUnreadableImageIsThrownAndTheThreadsEnd() throws {
    weak var core: LoaderCore?
    do {
      let images = try ImageFolder(folder.path)
      let sample = try #require(task.training.first).sample
      folder.write(images.samples[sample].path, "not an image any more")
      let loader = BatchLoader(
        task, ImageStore(images, side: store.side, cacheBytes: 0), configuration(batchSize: 8))
      core = loader.core
      var error: DatasetError?
      do throws(DatasetError) {
        loader.start(epoch: 1)
        while let batch = try loader.next() {
          #expect(!batch.sampleIndices.contains(sample))
          loader.recycle(batch)
        }
      } catch let thrown { error = thrown }
      #expect(error?.badImages.map(\.path) == [images.samples[sample].path])
      #expect(error?.exitCode == 65)
      #expect(datasetError { _ = try loader.next() } == error)
    }
    #expect(core == nil)
  }

  @Test func holdingEveryBatchTraps() async {
    await #expect(processExitsWith: .failure) {
      let suite = try BatchLoaderTests()
      let loader = BatchLoader(suite.task, suite.store, suite.configuration(batchSize: 8))
      loader.start(epoch: 1)
      var held: [Batch] = []
      while let batch = try loader.next() {
        held.append(batch)
        // Three are in the ring: waiting for a fourth would never end.
        if held.count > 3 { exit(EXIT_SUCCESS) }
      }
    }
  }
}
