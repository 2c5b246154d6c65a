import Glibc
import Tensors

/// What the loader's threads share.
///
/// A batch goes round a ring: free → planned (`pending`, in order: labels are set, images are being loaded) → held
/// by the trainer → free. Threads take single images, the oldest batch first, so the next batch is complete as soon
/// as possible.
///
/// @unchecked Sendable: every variable is read and written under `mutex`, except pixels. Those of a pending batch's
/// image i belong to the thread that took i; those of a held batch to the trainer.
final class LoaderCore: @unchecked Sendable {
  private let task: LearningTask
  private let store: ImageStore
  private let configuration: BatchLoader.Configuration
  private let sampler: ShardedSampler
  private let entries: [LearningTask.Entry]
  private let mean: [Float]

  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  /// Signalled when there may be images to take; and when a batch may be complete, or nothing is being loaded.
  private let hasWork = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private let hasResult = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  private let ring: [Batch]
  private var free: [Batch]
  private var pending: [Batch] = []
  private var isStopping = false
  /// Images that threads are loading now.
  private var busyCount = 0
  /// The next batch to plan; nil when there is none.
  private var cursor: (epoch: Int, batch: Int)?
  private var lastEpoch: Int?
  private var order: [Int] = []
  private var orderEpoch = 0

  init(
    _ task: LearningTask, _ store: ImageStore, _ configuration: BatchLoader.Configuration,
    _ sampler: ShardedSampler
  ) {
    let size = configuration.preprocessing.imageSize
    let side = configuration.augmentation.resizedSide(imageSize: size)
    precondition(store.side == side, "BatchLoader: images of side \(store.side), expected \(side)")
    self.task = task
    self.store = store
    self.configuration = configuration
    self.sampler = sampler
    entries = task.entries(configuration.split)
    mean = configuration.preprocessing.meanImage()
    let capacity = ShardedSampler.share(
      of: min(configuration.batchSize, entries.count), rank: configuration.rank,
      rankCount: configuration.rankCount
    ).count
    ring = (0...configuration.batchesAhead).map { _ in
      Batch(capacity: capacity, imageSize: size, outputs: task.outputs)
    }
    free = ring
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(hasWork, nil)
    pthread_cond_init(hasResult, nil)
  }

  deinit {
    pthread_cond_destroy(hasWork)
    pthread_cond_destroy(hasResult)
    pthread_mutex_destroy(mutex)
    hasWork.deallocate()
    hasResult.deallocate()
    mutex.deallocate()
  }

  private func locked<R>(_ body: () -> R) -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }

  // MARK: - The trainer's side

  func start(epoch: Int, batch: Int, throughEpoch: Int?) {
    locked {
      cursor = nil
      for batch in pending { batch.nextImage = batch.count }  // nobody takes another image of these
      while busyCount > 0 { pthread_cond_wait(hasResult, mutex) }
      free += pending
      pending.removeAll(keepingCapacity: true)
      lastEpoch = throughEpoch
      cursor = batch < sampler.batchesPerEpoch ? (epoch, batch) : (epoch + 1, 0)
      plan()
    }
  }

  func next() -> Result<Batch?, DatasetError> {
    locked {
      plan()
      guard let batch = pending.first else {
        precondition(
          cursor == nil, "BatchLoader: all \(ring.count) batches are held; recycle one before the next")
        return .success(nil)
      }
      while batch.unfinishedImages > 0 && batch.failure == nil { pthread_cond_wait(hasResult, mutex) }
      if let failure = batch.failure { return .failure(failure) }
      pending.removeFirst()
      batch.isHeld = true
      return .success(batch)
    }
  }

  func recycle(_ batch: Batch) {
    locked {
      precondition(
        batch.isHeld && ring.contains { $0 === batch },
        "BatchLoader: recycled a batch that was not handed out")
      batch.isHeld = false
      free.append(batch)
      plan()
    }
  }

  func stop() {
    locked {
      isStopping = true
      pthread_cond_broadcast(hasWork)
    }
  }

  /// Gives every free batch its place in the order. Called under the lock.
  private func plan() {
    while let (epoch, index) = cursor {
      guard lastEpoch.map({ epoch <= $0 }) ?? true else {
        cursor = nil
        return
      }
      guard let batch = free.popLast() else { return }
      if orderEpoch != epoch {
        order = sampler.order(epoch: epoch)
        orderEpoch = epoch
      }
      let positions = sampler.positions(
        batch: index, rank: configuration.rank, rankCount: configuration.rankCount)
      let global = sampler.positions(batch: index)
      describe(batch, positions)
      batch.globalBatchSize = global.count
      batch.shareOffset = positions.lowerBound - global.lowerBound
      batch.epoch = epoch
      batch.indexInEpoch = index
      batch.isLastOfEpoch = index + 1 == sampler.batchesPerEpoch
      pending.append(batch)
      cursor = batch.isLastOfEpoch ? (epoch + 1, 0) : (epoch, index + 1)
      pthread_cond_broadcast(hasWork)
    }
  }

  private func describe(_ batch: Batch, _ positions: Range<Int>) {
    batch.categories.removeAll(keepingCapacity: true)
    batch.signs.removeAll(keepingCapacity: true)
    batch.sampleKeys.removeAll(keepingCapacity: true)
    batch.sampleIndices.removeAll(keepingCapacity: true)
    for position in positions {
      let entry = entries[order[position]]
      batch.categories.append(Int32(entry.label))
      for output in 0..<task.outputs { batch.signs.append(task.sign(label: entry.label, output: output)) }
      batch.sampleKeys.append(UInt64(position))
      batch.sampleIndices.append(entry.sample)
    }
    batch.images.setBatch(positions.count)
    batch.nextImage = 0
    batch.unfinishedImages = positions.count
    batch.failure = nil
  }

  // MARK: - The threads' side

  /// Loads images until `stop`.
  func work() {
    let workspace = ImageWorkspace()
    pthread_mutex_lock(mutex)
    while !isStopping {
      guard let batch = pending.first(where: { $0.nextImage < $0.count }) else {
        pthread_cond_wait(hasWork, mutex)
        continue
      }
      let i = batch.nextImage
      batch.nextImage += 1
      busyCount += 1
      pthread_mutex_unlock(mutex)
      let failure = load(batch, i, workspace)
      pthread_mutex_lock(mutex)
      busyCount -= 1
      batch.unfinishedImages -= 1
      if let failure, batch.failure == nil { batch.failure = failure }
      if batch.unfinishedImages == 0 || failure != nil || busyCount == 0 { pthread_cond_broadcast(hasResult) }
    }
    pthread_mutex_unlock(mutex)
  }

  /// Loads image i of a batch; returns what went wrong.
  private func load(_ batch: Batch, _ i: Int, _ workspace: ImageWorkspace) -> DatasetError? {
    let preprocessing = configuration.preprocessing, augmentation = configuration.augmentation
    let size = preprocessing.imageSize
    let draw =
      configuration.split == .training
      ? augmentation.draw(
        seed: configuration.seed, epoch: batch.epoch, position: Int(batch.sampleKeys[i]), imageSize: size)
      : augmentation.centered(imageSize: size)
    let output = batch.images.pointer + i * batch.images.imageStride
    do throws(DatasetError) {
      try store.withImage(batch.sampleIndices[i], workspace) { pixels in
        preprocessing.apply(draw, to: pixels, side: store.side, mean: mean, into: output)
      }
      return nil
    } catch {
      return error
    }
  }
}
