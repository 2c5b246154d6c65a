import CKernels
import Glibc
import Tensors

/// Loads a rank's share of every global batch on background threads, a few batches ahead of the trainer.
///
/// ```
/// loader.start(epoch: 1, throughEpoch: 30)
/// while let batch = try loader.next() {
///   …
///   loader.recycle(batch)
/// }
/// ```
/// Batches come in order and are used again: a steady step allocates no tensor. What they hold does not depend on
/// the number of threads, on the cache or on the number of ranks. One thread at a time may call these methods.
public final class BatchLoader {
  /// Everything that does not change while the loader lives.
  public struct Configuration: Sendable {
    /// Which list is loaded. Training is shuffled and augmented; validation is in order, from the centre window.
    public var split: Split
    /// B, the size of the global batch.
    public var batchSize: Int
    /// This process, and how many share a batch.
    public var rank: Int, rankCount: Int
    /// Seed of order and augmentation.
    public var seed: UInt64
    /// Mean and scale; gives the image size.
    public var preprocessing: Preprocessing
    /// Random changes of training images. Its margin applies to validation too, for the centre window.
    public var augmentation: Augmentation
    /// Decoding threads.
    public var threadCount: Int
    /// Batches that may be loaded while the trainer works on one.
    public var batchesAhead: Int

    /// One rank, one decoding thread, two batches ahead, no augmentation, seed 1, unless told otherwise.
    public init(
      split: Split, batchSize: Int, rank: Int = 0, rankCount: Int = 1, seed: UInt64 = 1,
      preprocessing: Preprocessing, augmentation: Augmentation = Augmentation(), threadCount: Int = 1,
      batchesAhead: Int = 2
    ) {
      precondition(
        threadCount > 0 && batchesAhead > 0,
        "BatchLoader: \(threadCount) threads, \(batchesAhead) batches ahead, both must be at least 1")
      self.split = split
      self.batchSize = batchSize
      self.rank = rank
      self.rankCount = rankCount
      self.seed = seed
      self.preprocessing = preprocessing
      self.augmentation = augmentation
      self.threadCount = threadCount
      self.batchesAhead = batchesAhead
    }
  }

  /// What the system's tools (top -H, gdb) show for the decoding threads.
  static let threadName = "icnn-loader"

  /// Order and shares.
  public let sampler: ShardedSampler
  /// Seconds that `next` has waited for images, in total.
  public private(set) var waitSeconds = 0.0
  let core: LoaderCore
  private var threads: [pthread_t] = []

  /// A loader of the task's images; its threads idle until `start`.
  public init(_ task: LearningTask, _ store: ImageStore, _ configuration: Configuration) {
    sampler = ShardedSampler(
      entryCount: task.entries(configuration.split).count, batchSize: configuration.batchSize,
      seed: configuration.split == .training ? configuration.seed : nil)
    core = LoaderCore(task, store, configuration, sampler)
    for _ in 0..<configuration.threadCount { threads.append(Self.startThread(core)) }
  }

  deinit {
    core.stop()
    for thread in threads { pthread_join(thread, nil) }
  }

  /// Begins at a global batch (from 0) of an epoch (from 1) and runs through `throughEpoch`, endlessly if nil. What
  /// was loaded ahead is dropped. A batch still held may be recycled later.
  public func start(epoch: Int, batch: Int = 0, throughEpoch: Int? = nil) {
    precondition(
      epoch >= 1 && batch >= 0 && batch <= sampler.batchesPerEpoch,
      "BatchLoader: start at epoch \(epoch), batch \(batch) of \(sampler.batchesPerEpoch)")
    core.start(epoch: epoch, batch: batch, throughEpoch: throughEpoch)
  }

  /// The next batch, nil after the last. Waits until it is complete; throws `DatasetError` if one of its images
  /// cannot be read. Traps when all batches are held, which would otherwise wait for ever.
  public func next() throws(DatasetError) -> Batch? {
    let begin = monotonicSeconds()
    let result = core.next()
    waitSeconds += monotonicSeconds() - begin
    return try result.get()
  }

  /// Gives a batch back, to be filled again. Its contents must not be used any more.
  public func recycle(_ batch: Batch) { core.recycle(batch) }

  private static func startThread(_ core: LoaderCore) -> pthread_t {
    var thread = pthread_t()
    let context = Unmanaged.passRetained(core)
    let code = pthread_create(
      &thread, nil,
      { context in
        nameThisThread(BatchLoader.threadName)
        Unmanaged<LoaderCore>.fromOpaque(context!).takeRetainedValue().work()
        return nil
      }, context.toOpaque())
    precondition(code == 0, "BatchLoader: the system gives no thread (\(String(cString: strerror(code))))")
    return thread
  }
}

/// A failure leaves the name as it was.
private func nameThisThread(_ name: String) {
  let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
  guard file >= 0 else { return }
  _ = write(file, name, name.utf8.count)
  close(file)
}

private func monotonicSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
