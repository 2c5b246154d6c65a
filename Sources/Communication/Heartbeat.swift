import Glibc
import Synchronization

/// What a rank is doing, as the others of its node can see: written in passing by the thread that trains and by those
/// that communicate (`LaneHeartbeat`), read by the watchdogs of the ranks that wait.
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
    case rank, process, tick, phase, step, phaseBegan
  }

  /// Of each lane; they follow the others.
  enum LaneWord: Int, CaseIterable {
    case arrived, isWaiting, progress, operation, count
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

  // MARK: the watchdog

  /// This process runs.
  func tick() { store(.tick, monotonicNanoseconds()) }

  /// What the words say now.
  var status: RankStatus { Self.status(in: words) }

  /// What the words of a rank in shared memory say now.
  static func status(in memory: UnsafeMutableRawPointer) -> RankStatus { status(in: words(in: memory)) }

  private static func status(in words: UnsafeMutablePointer<Atomic<UInt64>>) -> RankStatus {
    func load(_ word: Word) -> UInt64 { words[word.rawValue].load(ordering: .acquiring) }
    func seconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds) * 1e-9 }
    func status(_ lane: Lane) -> LaneStatus {
      func load(_ word: LaneWord) -> UInt64 { words[index(of: word, lane)].load(ordering: .acquiring) }
      return LaneStatus(
        arrived: load(.arrived), isWaiting: load(.isWaiting) == 1, progress: seconds(load(.progress)),
        collective: Collective(code: load(.operation), count: Int(load(.count))))
    }
    return RankStatus(
      rank: Int(load(.rank)), process: Int32(truncatingIfNeeded: load(.process)), tick: seconds(load(.tick)),
      phase: Phase(rawValue: load(.phase)) ?? .starting, step: Int(load(.step)),
      phaseBegan: seconds(load(.phaseBegan)), gradients: status(.gradients), statistics: status(.statistics))
  }

  private static func words(in memory: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Atomic<UInt64>> {
    memory.assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  private func store(_ word: Word, _ value: UInt64) {
    words[word.rawValue].store(value, ordering: .releasing)
  }

  private static func index(of word: LaneWord, _ lane: Lane) -> Int {
    Word.allCases.count + lane.rawValue * LaneWord.allCases.count + word.rawValue
  }

  /// By the thread of that lane.
  func store(_ word: LaneWord, _ lane: Lane, _ value: UInt64) {
    words[Self.index(of: word, lane)].store(value, ordering: .releasing)
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
  var gradients = LaneStatus()
  var statistics = LaneStatus()

  subscript(lane: Lane) -> LaneStatus { lane == .statistics ? statistics : gradients }

  /// Whether any lane is in a collective.
  var isWaiting: Bool { gradients.isWaiting || statistics.isWaiting }
  /// When the last piece of any lane's collectives was done.
  var progress: Double { max(gradients.progress, statistics.progress) }
}

/// What one lane of a rank is at.
struct LaneStatus {
  /// Ticket of the last collective that it came to.
  var arrived: UInt64 = 0
  /// Whether it has not left that collective.
  var isWaiting = false
  /// When the last piece of that collective was done.
  var progress = 0.0
  var collective = Collective(.barrier)
}
