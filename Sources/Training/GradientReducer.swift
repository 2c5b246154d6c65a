import Communication
import Networks

/// Sums the gradients of all ranks while backward goes on.
///
/// The gradient arena is cut into contiguous buckets from its end to its front, which is the order in which backward
/// finishes them. Each bucket's reduction starts as soon as its last gradient is final. The buckets depend on the
/// arena and the bucket size alone, so a resumed run on as many ranks sums in the same order and gets the same bits.
public final class GradientReducer {
  private let exchange: GradientExchange
  private let store: ParameterStore
  /// Lower bounds of the buckets in the arena, descending; the last is 0.
  public let bucketOffsets: [Int]
  private var started = 0

  /// Cuts the store's gradients, which lie where the exchange's `storage` put them, into buckets of about
  /// `bucketBytes`.
  public init(_ exchange: GradientExchange, _ store: ParameterStore, bucketBytes: Int) {
    self.exchange = exchange
    self.store = store
    bucketOffsets = Self.bucketOffsets(count: store.count, bucketBytes: bucketBytes)
  }

  /// Lower bounds of the buckets of an arena of `count` floats, descending; the last is 0.
  static func bucketOffsets(count: Int, bucketBytes: Int) -> [Int] {
    let bucketCount = max(16, bucketBytes / MemoryLayout<Float>.stride / 16 * 16)
    return Array(stride(from: count - bucketCount, to: 0, by: -bucketCount)) + [0]
  }

  // After a step that failed elsewhere, buckets may be under way; the gradients must outlive them.
  deinit { exchange.release() }

  /// All gradients from `offset` to the end of the arena are final on this rank: starts the buckets within.
  public func start(from offset: Int) {
    exchange.noteReady(from: offset)
    while started < bucketOffsets.count && bucketOffsets[started] >= offset {
      let lower = bucketOffsets[started]
      let upper = started == 0 ? store.count : bucketOffsets[started - 1]
      exchange.start(UnsafeMutableBufferPointer(rebasing: store.gradients[lower..<upper]))
      started += 1
    }
  }

  /// Starts what is left and waits until every gradient is ready for the update.
  public func finish() throws(CommunicationError) {
    start(from: 0)
    started = 0
    try exchange.finish()
  }

  /// Once this rank's share is updated: waits for the other ranks' shares. Returns whether all succeeded.
  public func finishUpdate(succeeded: Bool) throws(CommunicationError) -> Bool {
    try exchange.finishUpdate(succeeded: succeeded)
  }
}
