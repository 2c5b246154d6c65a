import Communication
import Networks

/// Sums the gradients of all ranks while backward goes on.
///
/// The gradient arena is cut into contiguous buckets from its end to its front, which is the order in which backward
/// finishes them. Each bucket's all-reduce starts as soon as its last gradient is final. The buckets depend on the
/// arena and the bucket size alone, so a resumed run on as many ranks sums in the same order and gets the same bits.
public final class GradientReducer {
  private let communicator: any Communicator
  private let store: ParameterStore
  /// Lower bounds of the buckets in the arena, descending; the last is 0.
  public let bucketOffsets: [Int]
  private let pending: UnsafeMutablePointer<PendingReduction>
  private var started = 0

  /// Cuts the store's gradients into buckets of about `bucketBytes`.
  public init(_ communicator: any Communicator, _ store: ParameterStore, bucketBytes: Int) {
    self.communicator = communicator
    self.store = store
    let bucketCount = max(16, bucketBytes / MemoryLayout<Float>.stride / 16 * 16)
    bucketOffsets = Array(stride(from: store.count - bucketCount, to: 0, by: -bucketCount)) + [0]
    pending = .allocate(capacity: bucketOffsets.count)
  }

  deinit { pending.deallocate() }

  /// All gradients from `offset` to the end of the arena are final on this rank: starts the buckets within.
  public func start(from offset: Int) {
    guard communicator.size > 1 else { return }
    while started < bucketOffsets.count && bucketOffsets[started] >= offset {
      let lower = bucketOffsets[started]
      let upper = started == 0 ? store.count : bucketOffsets[started - 1]
      let bucket = UnsafeMutableBufferPointer(rebasing: store.gradients[lower..<upper])
      (pending + started).initialize(to: communicator.startAllReduce(bucket, .sum))
      started += 1
    }
  }

  /// Starts what is left and waits until every gradient is the sum over all ranks.
  public func finish() throws(CommunicationError) {
    start(from: 0)
    let count = started
    started = 0
    var failure: CommunicationError?
    for bucket in 0..<count {
      // Every pending reduction is waited on, also after an error.
      do throws(CommunicationError) {
        try (pending + bucket).move().wait()
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
  }
}
