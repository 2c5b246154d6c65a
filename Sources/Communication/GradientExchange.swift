/// By which way gradients are added up over ranks.
public enum ReductionPath: String, Codable, Sendable, CaseIterable {
  /// A shared window where ranks share a node, an all-reduce otherwise.
  case automatic
  /// An all-reduce of the communicator.
  case plain
  /// A shared window inside every node; an error where it is not to be had.
  case window
}

/// How gradients travel between nodes, and between ranks on the plain path.
public enum ExchangePrecision: String, Codable, Sendable, CaseIterable {
  /// As they are.
  case float32
  /// Rounded to bfloat16: half the bytes. They are added in float32, and the sum is rounded once more.
  case bfloat16
}

/// The way from each rank's gradients to new parameters on all ranks.
///
/// On the plain path every rank holds the sum after `finish` and updates all parameters. Ranks of a node that share a
/// window have one set of values and divide the update: each has a `share` and sums its part of the gradients over the
/// copies as it updates; `finishUpdate` waits until all have done so.
///
/// Made by `Communicator.gradientExchange`, one per training. All ranks start the same ranges in the same order. Not
/// thread-safe: belongs to the thread that trains.
public final class GradientExchange {
  /// What became of the path that was asked for.
  public enum Route: Sendable, Equatable, CustomStringConvertible {
    /// One rank: its gradients are the sum.
    case none
    /// An all-reduce among all ranks; why not a window, if it was not asked for.
    case plain(reason: String?)
    /// Ranks of a node add up through the memory they share, the first ranks of the nodes among themselves.
    case window(nodes: Int, ranks: Int)
    /// Shards add up in one fixed tree, within their process in its memory.
    case shards(Int, processes: Int)

    /// As the start line and the log have it.
    public var description: String {
      switch self {
      case .none: "nothing to exchange"
      case .plain(let reason): "plain all-reduce" + (reason.map { " (\($0))" } ?? "")
      case .window(1, let ranks): "shared window of \(ranks) ranks"
      case .window(let nodes, let ranks): "shared windows of \(ranks) ranks on \(nodes) nodes"
      case .shards(let count, let processes):
        "one tree over \(count) shards on \(processes) rank\(processes == 1 ? "" : "s")"
      }
    }
  }

  /// The way gradients take; final once their memory is allocated.
  public private(set) var route: Route
  /// What this rank updates, once memory is allocated; nil: everything, from its own gradients.
  public var share: Share? { window?.share }

  /// The arenas of a training, `count` floats each, zeroed, aligned to 64 bytes.
  public struct Memory {
    /// What layers write in backward.
    public let gradients: UnsafeMutablePointer<Float>
    /// Parameters; in a window one for all ranks of a node.
    public let values: UnsafeMutablePointer<Float>
    /// Of the optimiser; in a window one for all ranks of a node.
    public let velocities: UnsafeMutablePointer<Float>
    /// What else ranks were promised to share, if all of them share one window; what one wrote before `finish` the others
    /// read until `finishUpdate`.
    public let shared: UnsafeMutablePointer<Float>?
  }

  /// One rank's part of the update.
  public struct Share {
    /// Part of the arenas; its bounds are multiples of 16, except for the end of the arenas.
    public let range: Range<Int>
    /// Arenas whose sum, in this order, is the sum over all ranks after `finish`.
    public let gradients: [UnsafeMutablePointer<Float>]
  }

  private let path: ReductionPath
  private let precision: ExchangePrecision
  private let thread: CommunicationThread?
  private let opensWindows: Bool
  private var window: WindowRequest?
  private var fallback: [UnsafeMutableRawPointer] = []
  /// The last sum that was asked for; 0: none since `finish`.
  private var lastTicket: UInt64 = 0
  /// Buckets that were started since `finish`.
  private var bucketCount = 0

  /// One rank.
  init() {
    route = .none
    path = .automatic
    precision = .float32
    thread = nil
    opensWindows = false
  }

  /// Several ranks, whose operations with gradients `thread` carries out. `windowRefusal`: why they cannot share memory; nil if they
  /// may be able to.
  init(
    _ thread: CommunicationThread, _ path: ReductionPath, _ precision: ExchangePrecision,
    windowRefusal: String?
  ) {
    self.thread = thread
    self.path = path
    self.precision = precision
    opensWindows = path != .plain && windowRefusal == nil
    route = .plain(reason: path == .plain ? nil : windowRefusal)
  }

  deinit {
    release()
    for memory in fallback { memory.deallocate() }
  }

  /// What gives a training its memory, arenas of `count` floats and `sharedCount` floats that are shared; valid as long as
  /// this exchange and its communicator. Nil: any memory will do. All ranks call it, once, and write the same values, if any,
  /// before they next meet.
  public var storage: ((_ count: Int, _ sharedCount: Int) -> Memory)? { opensWindows ? allocate : nil }

  /// Once the memory is allocated: throws `windowUnavailable` (exit code 78) on all ranks alike if a window was
  /// insisted on and is not to be had.
  public func requireRoute() throws(CommunicationError) {
    if path == .window, case .plain(let reason) = route {
      throw .windowUnavailable(reason: reason ?? "no window was opened")
    }
  }

  private func allocate(count: Int, sharedCount: Int) -> Memory {
    precondition(window == nil && fallback.isEmpty, "the arenas have their memory already")
    let request = WindowRequest(count: count, sharedCount: sharedCount)
    var collective = Collective(.openWindow)
    collective.buffer = Unmanaged.passUnretained(request).toOpaque()
    do throws(CommunicationError) {
      try thread!.perform(collective)
    } catch {
      // It sticks: the next operation throws it.
      request.refusal = "\(error)"
    }
    if let memory = request.memory, let opened = request.route {
      window = request
      route = opened
      return memory
    }
    route = .plain(reason: request.refusal)
    let arena = {
      let raw = UnsafeMutableRawPointer.allocate(
        byteCount: max(count, 1) * MemoryLayout<Float>.stride, alignment: 64)
      self.fallback.append(raw)
      let memory = raw.bindMemory(to: Float.self, capacity: max(count, 1))
      memory.initialize(repeating: 0, count: count)
      return memory
    }
    return Memory(gradients: arena(), values: arena(), velocities: arena(), shared: nil)
  }

  /// Starts to add up `gradients`, final on this rank, over all ranks. On the window's path they lie in the memory that
  /// `storage` gave. They stay untouched until `finish`, in a window until `finishUpdate`.
  public func start(_ gradients: UnsafeMutableBufferPointer<Float>) {
    guard let thread else { return }
    var collective: Collective
    if let window {
      collective = Collective(.windowSum)
      collective.source = UnsafeRawPointer(window.handle)
      collective.precision = precision
    } else {
      collective = Collective(precision == .float32 ? .allReduceFloat : .sumBFloat16)
    }
    collective.buffer = UnsafeMutableRawPointer(gradients.baseAddress)
    collective.count = gradients.count
    bucketCount += 1
    collective.bucket = bucketCount
    lastTicket = thread.submit(collective)
  }

  /// For the timeline: this rank's gradients from an offset of the arena on are final.
  public func noteReady(from offset: Int) { thread?.heartbeat.timeline?.gradientsReady(from: offset) }

  /// Waits until everything that was started is there: on the plain path as the sum over all ranks in its place, in a
  /// window as the arenas of `share`.
  public func finish() throws(CommunicationError) {
    guard let thread, lastTicket > 0 else { return }
    if let window {
      var collective = Collective(.windowFinish)
      collective.source = UnsafeRawPointer(window.handle)
      lastTicket = thread.submit(collective)
    }
    // Operations are done in order, and an error sticks: the last one speaks for all.
    defer { (lastTicket, bucketCount) = (0, 0) }
    try thread.wait(for: lastTicket)
  }

  /// Once this rank has updated its share: waits until the others of the node have updated theirs and no longer read this
  /// rank's gradients.
  ///
  /// - Parameter succeeded: whether this rank's part of the gradients was finite.
  /// - Returns: whether all were.
  public func finishUpdate(succeeded: Bool) throws(CommunicationError) -> Bool {
    guard let window else { return succeeded }
    var collective = Collective(.windowUpdated)
    collective.source = UnsafeRawPointer(window.handle)
    collective.buffer = Unmanaged.passUnretained(window).toOpaque()
    window.allSucceeded = succeeded
    try thread!.perform(collective)
    return window.allSucceeded
  }

  /// After an error elsewhere: returns when this rank's communication thread no longer uses the gradients.
  public func release() {
    guard let thread, lastTicket > 0 else { return }
    try? thread.wait(for: lastTicket)
    lastTicket = 0
  }
}

/// What `GradientExchange` asks the engine for and what it gets; filled in by the communication thread.
final class WindowRequest: @unchecked Sendable {
  /// Floats of an arena.
  let count: Int
  /// Floats that all ranks share besides.
  let sharedCount: Int
  /// This rank's arenas in the window; nil if it was refused.
  var memory: GradientExchange.Memory?
  var share: GradientExchange.Share?
  /// What the engine knows the window by.
  var handle: UnsafeMutableRawPointer?
  var route: GradientExchange.Route?
  /// Of the last update: whether this rank's part succeeded; then whether all did.
  var allSucceeded = true
  /// Why there is no window, the same on all ranks.
  var refusal: String?

  init(count: Int, sharedCount: Int) {
    self.count = count
    self.sharedCount = sharedCount
  }
}
