import Tensors

/// One rank's share of one global batch, ready for the network. Belongs to its loader, which fills it again after
/// `BatchLoader.recycle`.
public final class Batch {
  /// Network input, [n, 3, imageSize, imageSize], interleaved.
  public let images: Tensor
  /// Label of each of the n images: index into `LearningTask.classNames` (single-category: 0 positive, 1 other).
  public internal(set) var categories: [Int32] = []
  /// +1 or -1 for each image and network output, [n, L].
  public internal(set) var signs: [Float] = []
  /// Position of each image in the epoch's global order: the key of its random numbers (dropout) on any rank.
  public internal(set) var sampleKeys: [UInt64] = []
  /// Index of each image into `ImageFolder.samples`.
  public internal(set) var sampleIndices: [Int] = []
  /// Number of images of the global batch, over all ranks.
  public internal(set) var globalBatchSize = 0
  /// Where this share begins in the global batch.
  public internal(set) var shareOffset = 0
  /// From 1.
  public internal(set) var epoch = 0
  /// Index of the global batch in its epoch, from 0.
  public internal(set) var indexInEpoch = 0
  /// Whether the epoch ends with this batch.
  public internal(set) var isLastOfEpoch = false

  /// n, the number of images of this share; 0 on some ranks when the last batch of an epoch is very short.
  public var count: Int { sampleIndices.count }

  // The loader's bookkeeping, guarded by its lock.
  var nextImage = 0
  var unfinishedImages = 0
  var failure: DatasetError?
  var isHeld = false

  init(capacity: Int, imageSize: Int, outputs: Int) {
    images = Tensor(Shape(batch: capacity, channels: 3, height: imageSize, width: imageSize), .interleaved)
    categories.reserveCapacity(capacity)
    signs.reserveCapacity(capacity * outputs)
    sampleKeys.reserveCapacity(capacity)
    sampleIndices.reserveCapacity(capacity)
  }

  /// A rank's share of a batch of noise with labels in turn, as input for benchmarks.
  public static func noise(
    globalBatchSize: Int, rank: Int, rankCount: Int, imageSize: Int, outputs: Int, seed: UInt64
  ) -> Batch {
    let share = ShardedSampler.share(of: globalBatchSize, rank: rank, rankCount: rankCount)
    let batch = Batch(capacity: share.count, imageSize: imageSize, outputs: outputs)
    batch.globalBatchSize = globalBatchSize
    batch.shareOffset = share.lowerBound
    batch.epoch = 1
    for index in share {
      batch.sampleKeys.append(UInt64(index))
      batch.sampleIndices.append(index)
      let label = index % max(outputs, 2)
      batch.categories.append(Int32(label))
      for output in 0..<outputs { batch.signs.append(output == label ? 1 : -1) }
    }
    var random = RandomSource(seed: seed, purpose: .test, UInt64(rank))
    for i in 0..<batch.images.count { batch.images.pointer[i] = random.uniform(-2, 2) }
    return batch
  }
}
