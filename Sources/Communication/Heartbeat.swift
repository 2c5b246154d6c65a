import Glibc
import Synchronization

/// What a rank is doing, as the others of its node can see: written in passing by the thread that trains and by the one
/// that communicates, read by the watchdogs of the ranks that wait.
///
/// Writing costs a few stores and, at a change of phase or at a collective, a look at the clock.
///
/// Safe to share: the words are atomic. They lie in private memory until `move`, which happens before any other thread
/// knows of the heartbeat.
public final class Heartbeat: @unchecked Sendable {
  /// Parts of a training. Some take as long as a disk or a data set makes them.
  public enum Phase: UInt64, Sendable, CaseIterable, CustomStringConvertible {
    case starting
    case loading
    case forward
    case backward
    case reduction
    case update
    case reporting
    case validation
    case checkpoint
    case ending

    /// Whether it has no natural length: nobody is stalled because it lasts.
    var isOpenEnded: Bool {
      switch self {
      case .starting, .loading, .validation, .checkpoint, .ending: true
      case .forward, .backward, .reduction, .update, .reporting: false
      }
    }

    /// In a sentence: "it is …".
    public var description: String {
      switch self {
      case .starting: "starting up"
      case .loading: "waiting for images"
      case .forward: "in the forward pass"
      case .backward: "in the backward pass"
      case .reduction: "waiting for the sums of gradients"
      case .update: "updating parameters"
      case .reporting: "writing down what a step did"
      case .validation: "validating"
      case .checkpoint: "writing a checkpoint"
      case .ending: "ending"
      }
    }
  }

  private enum Word: Int, CaseIterable {
    case rank, process, tick, phase, step, phaseBegan, arrived, isWaiting, progress, operation, count
  }

  /// Bytes of one rank's words: no two ranks write into one cache line.
  static let stride = 128

  private var words: UnsafeMutablePointer<Atomic<UInt64>>
  private var isShared = false
  /// Keeps what is entered, handed over, waited for and carried out; normally nil. Set by the thread that trains while no
  /// collective is under way.
  public var timeline: Timeline?
  /// Told of every phase that is entered.
  private let onPhase: ((Phase, _ step: Int) -> Void)?

  /// A heartbeat that nobody else sees.
  init(onPhase: ((Phase, _ step: Int) -> Void)? = nil) {
    self.onPhase = onPhase
    let memory = UnsafeMutableRawPointer.allocate(byteCount: Self.stride, alignment: 64)
    memset(memory, 0, Self.stride)
    words = Self.words(in: memory)
    begin(.starting, step: 0)
  }

  deinit { if !isShared { UnsafeMutableRawPointer(words).deallocate() } }

  /// From now on in `memory`, `stride` bytes that outlive every thread; nobody reads or writes meanwhile.
  func move(to memory: UnsafeMutableRawPointer, rank: Int) {
    let old = UnsafeMutableRawPointer(words)
    memcpy(memory, old, Self.stride)
    words = Self.words(in: memory)
    old.deallocate()
    isShared = true
    store(.rank, UInt64(rank))
    store(.process, UInt64(getpid()))
    tick()
  }

  // MARK: the thread that trains

  /// The training is in `phase` of `step` (of the steps done: 0 before the first). All ranks enter the same phases in the
  /// same order.
  public func enter(_ phase: Phase, step: Int) {
    begin(phase, step: step)
    onPhase?(phase, step)
  }

  private func begin(_ phase: Phase, step: Int) {
    let now = monotonicNanoseconds()
    store(.phaseBegan, now)
    store(.step, UInt64(step))
    store(.phase, phase.rawValue)
    timeline?.enter(phase, step: step, at: now)
  }

  // MARK: the thread that communicates

  /// This rank has come to the collective with this ticket, and may wait in it for others.
  func arrive(_ ticket: UInt64, _ collective: Collective) {
    let now = monotonicNanoseconds()
    store(.operation, collective.code)
    store(.count, UInt64(collective.count))
    store(.progress, now)
    store(.isWaiting, 1)
    store(.arrived, ticket)
    timeline?.arrive(collective, ticket, at: now)
  }

  /// A piece of the collective is done: what takes long is not stuck.
  func progress() { store(.progress, monotonicNanoseconds()) }

  /// The collective is done on this rank.
  func leave() {
    let now = monotonicNanoseconds()
    store(.progress, now)
    store(.isWaiting, 0)
    timeline?.leave(at: now)
  }

  /// Carries out a part of the collective that a timeline shows.
  func part<Result, Failure: Error>(
    _ part: CollectivePart, _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    guard let timeline else { return try body() }
    let begin = monotonicNanoseconds()
    defer { timeline.part(part, begin: begin) }
    return try body()
  }

  // MARK: the watchdog

  /// This process runs.
  func tick() { store(.tick, monotonicNanoseconds()) }

  /// What the words say now.
  var status: RankStatus { Self.status(in: words) }

  /// What the words of a rank in shared memory say now.
  static func status(in memory: UnsafeMutableRawPointer) -> RankStatus { status(in: words(in: memory)) }

  private static func status(in words: UnsafeMutablePointer<Atomic<UInt64>>) -> RankStatus {
    func load(_ word: Word) -> UInt64 { words[word.rawValue].load(ordering: .acquiring) }
    func seconds(_ word: Word) -> Double { Double(load(word)) * 1e-9 }
    return RankStatus(
      rank: Int(load(.rank)), process: Int32(truncatingIfNeeded: load(.process)), tick: seconds(.tick),
      phase: Phase(rawValue: load(.phase)) ?? .starting, step: Int(load(.step)),
      phaseBegan: seconds(.phaseBegan), arrived: load(.arrived), isWaiting: load(.isWaiting) == 1,
      progress: seconds(.progress),
      collective: Collective(code: load(.operation), count: Int(load(.count))))
  }

  private static func words(in memory: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Atomic<UInt64>> {
    memory.assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  private func store(_ word: Word, _ value: UInt64) {
    words[word.rawValue].store(value, ordering: .releasing)
  }
}

/// One rank as its words had it at one moment; times in seconds of the host's monotonic clock.
struct RankStatus {
  /// In the world.
  var rank = 0
  var process: Int32 = 0
  /// When its watchdog last ran.
  var tick = 0.0
  var phase = Heartbeat.Phase.starting
  var step = 0
  var phaseBegan = 0.0
  /// Ticket of the last collective that it came to.
  var arrived: UInt64 = 0
  /// Whether it has not left that collective.
  var isWaiting = false
  /// When the last piece of that collective was done.
  var progress = 0.0
  var collective = Collective(.barrier)
}
