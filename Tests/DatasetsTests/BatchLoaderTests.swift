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
  let augmentation = Augmentation(horizontalFlip: true, cropMargin: 0.3, brightness: 0.2)
  let preprocessing: Preprocessing

  init() throws {
    folder = TemporaryFolder()
    writeClasses(folder, [("cat", 20), ("dog", 13), ("eel", 4), ("negative", 5)])
    let images = try ImageFolder(folder.path)
    task = try LearningTask(.multiCategory, on: images)
    store = ImageStore(images, side: augmentation.resizedSide(imageSize: Self.imageSize))
    preprocessing = try Preprocessing.measure(
      task, store, imageSize: Self.imageSize, meanKind: .pixel, augmentation: augmentation)
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
}
