/// One collective operation, as it waits in the ring of a `CommunicationThread`: plain numbers and addresses, so
/// that asking for an operation allocates nothing.
struct Collective {
  /// What is to be done. `start` and `stop` frame the life of the engine.
  enum Kind: UInt8 {
    case start
    case allReduceFloat
    case allReduceDouble
    /// A sum of floats that travel as bfloat16.
    case sumBFloat16
    case broadcast
    case allGather
    case barrier
    /// Memory that ranks of a node share for parameters and gradients (a `WindowRequest`), and steps in it.
    case openWindow
    case windowSum
    case windowFinish
    case windowUpdated
    case stop
  }

  var kind: Kind
  /// What is reduced in place, sent or received by a broadcast, or received by a gather (count · size bytes); the
  /// request for a window, also at the end of an update.
  var buffer: UnsafeMutableRawPointer?
  /// What a gather sends (count bytes); the window of a sum.
  var source: UnsafeRawPointer?
  /// Elements of a reduction, bytes of a broadcast, bytes per rank of a gather.
  var count = 0
  var operation = ReductionOperation.sum
  var root = 0
  /// Of a reduction.
  var order = ReductionOrder.any
  /// Of a sum in a window: how it travels between nodes.
  var precision = ExchangePrecision.float32
  /// Of a sum of gradients: which bucket of the step, from 1; else 0.
  var bucket = 0

  init(_ kind: Kind) { self.kind = kind }

  /// The queue that it waits in.
  var lane: Lane { kind == .allReduceDouble ? .statistics : .gradients }

  /// Kind, operation and bucket in one number, for other processes to read.
  var code: UInt64 {
    UInt64(kind.rawValue) | UInt64(operation.rawValue) << 8 | UInt64(bucket) << 16
  }

  /// What a code says, without addresses: only to be described.
  init(code: UInt64, count: Int) {
    kind = Kind(rawValue: UInt8(code & 0xff)) ?? .barrier
    operation = ReductionOperation(rawValue: UInt8(code >> 8 & 0xff)) ?? .sum
    bucket = Int(code >> 16)
    self.count = count
  }

  /// Bytes of the values of this rank.
  var byteCount: Int {
    switch kind {
    case .allReduceFloat, .sumBFloat16, .windowSum: 4 * count
    case .allReduceDouble: 8 * count
    case .broadcast, .allGather: count
    case .start, .barrier, .openWindow, .windowFinish, .windowUpdated, .stop: 0
    }
  }

  /// Whether two ranks that meet in these operations mean the same.
  func matches(_ other: Collective) -> Bool {
    kind == other.kind && count == other.count && operation == other.operation && root == other.root
      && order == other.order
  }
}

/// In which order a reduction takes its operands.
enum ReductionOrder: UInt8 {
  /// The same on all ranks, for as many ranks the same in every run.
  case any
  /// That of `ReductionTree`; of 2ᵏ ranks.
  case tree
}

extension Collective: CustomStringConvertible {
  var description: String { words + (bucket > 0 ? " (bucket \(bucket))" : "") }

  private var words: String {
    switch kind {
    case .start: "start"
    case .allReduceFloat: "allReduce(\(operation)) of \(count) Float"
    case .allReduceDouble: "allReduce(\(operation)) of \(count) Double"
    case .sumBFloat16: "sum of \(count) Float as bfloat16"
    case .broadcast: "broadcast of \(count) bytes from rank \(root)"
    case .allGather: "allGather of \(count) bytes per rank"
    case .barrier: "barrier"
    case .openWindow: "opening of a shared window"
    case .windowSum: "sum of \(count) Float in a shared window"
    case .windowFinish: "end of the sums in a shared window"
    case .windowUpdated: "end of an update in a shared window"
    case .stop: "finalize"
    }
  }
}

/// Carries out collectives, one after the other, always on the same thread.
protocol CollectiveEngine: AnyObject, Sendable {
  /// Blocks until the operation is done on this rank.
  func perform(_ collective: Collective) throws(CommunicationError)
}
