import Synchronization

/// What the threads of a rank did when: the one that trains and those that communicate, one a lane.
///
/// Every thread writes into memory of its own that was taken beforehand: recording allocates nothing, and what no longer
/// fits is counted and left out. Without a timeline none of this is reached.
///
/// Safe to share: each buffer has one writer; `recording` is atomic. It is given to a `Heartbeat`, started, stopped and read while no
/// collective is under way.
public final class Timeline: @unchecked Sendable {
  /// Spans of the thread that trains: phases, layers, what it hands over and waits for.
  public let training: TimelineBuffer
  /// Spans of the lanes' threads: collectives and their parts.
  public let gradients: TimelineBuffer
  /// The same.
  public let statistics: TimelineBuffer
  private let recording = Atomic<Bool>(false)

  /// A timeline with room for so many spans of each thread.
  public init(capacity: Int) {
    training = TimelineBuffer(capacity: capacity)
    gradients = TimelineBuffer(capacity: capacity)
    statistics = TimelineBuffer(capacity: capacity)
  }

  private func buffer(of lane: Lane) -> TimelineBuffer { lane == .statistics ? statistics : gradients }

  /// All buffers: of the thread that trains, then of the lanes.
  public var buffers: [TimelineBuffer] { [training, gradients, statistics] }

  /// Whether spans are kept. Set by the thread that trains; the end of recording is the end of the present phase.
  public var isRecording: Bool {
    get { recording.load(ordering: .relaxed) }
    set {
      if !newValue { training.end(at: Self.now) }
      recording.store(newValue, ordering: .relaxed)
    }
  }

  /// Nanoseconds of the host's monotonic clock: what all spans are measured by.
  public static var now: UInt64 { monotonicNanoseconds() }

  // MARK: the thread that trains

  /// Ends the present phase and begins another.
  func enter(_ phase: Heartbeat.Phase, step: Int, at time: UInt64) {
    training.end(at: time)
    guard isRecording else { return }
    training.begin(TimelineEvent(.phase, begin: time, code: phase.rawValue, count: step))
  }

  /// A layer's pass, the layer being the code-th of the network's leaves.
  public func layer(_ kind: TimelineEvent.Kind, _ index: Int, begin: UInt64) {
    guard isRecording else { return }
    training.append(TimelineEvent(kind, begin: begin, end: Self.now, code: UInt64(index), count: 0))
  }

  /// The gradients from `offset` on are final.
  public func gradientsReady(from offset: Int) {
    guard isRecording else { return }
    let now = Self.now
    training.append(TimelineEvent(.gradientsReady, begin: now, end: now, code: 0, count: offset))
  }

  /// A collective was handed over.
  func submitted(_ collective: Collective, _ ticket: UInt64, begin: UInt64) {
    guard isRecording else { return }
    training.append(
      TimelineEvent(
        .submit, begin: begin, end: Self.now, code: collective.code, count: collective.count, ticket: ticket))
  }

  /// A collective was waited for.
  func waited(for collective: Collective, _ ticket: UInt64, begin: UInt64) {
    guard isRecording else { return }
    training.append(
      TimelineEvent(
        .wait, begin: begin, end: Self.now, code: collective.code, count: collective.count, ticket: ticket))
  }

  // MARK: the threads that communicate

  /// A collective begins.
  func arrive(_ lane: Lane, _ collective: Collective, _ ticket: UInt64, at time: UInt64) {
    guard isRecording else { return }
    buffer(of: lane).begin(
      TimelineEvent(
        .collective, begin: time, code: collective.code, count: collective.count, ticket: ticket))
  }

  /// It has ended.
  func leave(_ lane: Lane, at time: UInt64) { buffer(of: lane).end(at: time) }

  /// A part of it was done.
  func part(_ lane: Lane, _ part: CollectivePart, begin: UInt64) {
    guard isRecording else { return }
    buffer(of: lane).append(
      TimelineEvent(.part, begin: begin, end: Self.now, code: UInt64(part.rawValue), count: 0))
  }
}

/// What collectives consist of.
enum CollectivePart: UInt8 {
  case pack
  case exchange
  case unpack
}

/// One span of time on one thread: plain numbers, which travel as they lie in memory.
public struct TimelineEvent: Sendable {
  /// What went on.
  public enum Kind: UInt8, Sendable {
    /// A `Heartbeat.Phase` (code) of a step (count, the steps before it).
    case phase
    /// Forward and backward of a layer (code: place among the network's leaves).
    case forward
    case backward
    /// Gradients are final from an offset of the arena on (count).
    case gradientsReady
    /// A collective (code) of so many elements (count) is handed over, waited for, carried out.
    case submit
    case wait
    case collective
    /// A part of a collective.
    case part
  }

  /// What went on.
  public let kind: Kind
  /// Nanoseconds of the host's monotonic clock.
  public let begin: UInt64
  /// The same.
  public internal(set) var end: UInt64
  let code: UInt64
  /// See `Kind`.
  public let count: Int
  /// Of a collective: its number in its lane on this rank.
  public let ticket: UInt64

  init(_ kind: Kind, begin: UInt64, end: UInt64 = 0, code: UInt64, count: Int, ticket: UInt64 = 0) {
    self.kind = kind
    self.begin = begin
    self.end = end
    self.code = code
    self.count = count
    self.ticket = ticket
  }

  /// Of a layer's pass: its place among the network's leaves.
  public var layer: Int { Int(code) }
  /// Of a collective: the queue it waits in.
  public var lane: Lane { Collective(code: code, count: count).lane }
  /// Of a phase.
  public var phase: Heartbeat.Phase? { kind == .phase ? Heartbeat.Phase(rawValue: code) : nil }
  /// Of a collective: which bucket of the step's gradients it adds up, from 1; 0 if it does not.
  public var bucket: Int { Collective(code: code, count: count).bucket }

  /// Bytes of a collective's values on this rank.
  public var byteCount: Int { Collective(code: code, count: count).byteCount }

  /// In words; nil where these are not this module's to say.
  public var words: String? {
    switch kind {
    case .phase: Heartbeat.Phase(rawValue: code).map { "\($0)" }
    case .submit, .wait, .collective: Collective(code: code, count: count).description
    case .part: CollectivePart(rawValue: UInt8(truncatingIfNeeded: code)).map { "\($0)" }
    case .forward, .backward, .gradientsReady: nil
    }
  }
}

/// Room for a fixed number of spans, written by one thread.
public final class TimelineBuffer: @unchecked Sendable {
  /// Spans that did not fit.
  public private(set) var droppedCount = 0
  private let memory: UnsafeMutableBufferPointer<TimelineEvent>
  private var count = 0
  /// What has begun and not ended.
  private var open: TimelineEvent?

  init(capacity: Int) { memory = .allocate(capacity: capacity) }

  deinit { memory.deallocate() }

  /// Something begins that lasts until `end`.
  func begin(_ event: TimelineEvent) { open = event }

  /// It has ended, if anything had begun.
  func end(at time: UInt64) {
    guard var event = open else { return }
    event.end = time
    append(event)
    open = nil
  }

  func append(_ event: TimelineEvent) {
    guard count < memory.count else {
      droppedCount += 1
      return
    }
    (memory.baseAddress! + count).initialize(to: event)
    count += 1
  }

  /// In the order of their ends.
  public var events: UnsafeBufferPointer<TimelineEvent> {
    UnsafeBufferPointer(rebasing: memory[0..<count])
  }

  /// Forgets everything.
  public func removeAll() { (count, droppedCount) = (0, 0) }
}
