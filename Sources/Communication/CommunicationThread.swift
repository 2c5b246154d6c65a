import Synchronization

/// The thread of a lane: carries out operations in the order in which they were asked for.
///
/// Work lies in a ring of fixed size; asking for an operation allocates nothing, and blocks when the ring is
/// full. Operations are numbered from 1; the number is the ticket to wait for. The first error of any lane sticks:
/// it is reported by the operation that failed and by every later one, none of which is tried.
///
/// Safe to share: the ring and `stopped` are written under `mutex`; a slot is read by the thread between the
/// publication of its ticket in `submitted` and that in `completed`, and reused only afterwards.
final class CommunicationThread: @unchecked Sendable {
  private static let ringCapacity: UInt64 = 256
  /// Long enough to bridge the gap between two operations of a step, short enough to be lost in its time.
  private static let spinSeconds = 20e-6

  /// Told of every collective that begins and ends.
  let heartbeat: Heartbeat
  private let beat: LaneHeartbeat
  private let fault: LaneFault
  private let engine: any CollectiveEngine
  private let spins: Bool
  private let observer: (any WaitObserver)?
  private let mutex = PthreadMutex()
  private let workArrived = PthreadCondition()
  private let workDone = PthreadCondition()
  private let ring = UnsafeMutablePointer<Collective>.allocate(capacity: Int(ringCapacity))
  private let submitted = Atomic<UInt64>(0)
  private let completed = Atomic<UInt64>(0)
  /// The first operation of this lane that failed or was not tried, and why. `failure` is written once, before `failedTicket` is published, and
  /// read by others only where they see that.
  private let failedTicket = Atomic<UInt64>(.max)
  private var failure: CommunicationError?
  private var stopped = false
  private var thread: PthreadHandle?

  /// Starts the thread. `spins`: whether waiting may begin with some microseconds of polling, which is right
  /// only when this rank has a core to spare. `observer`: told of what is waited for. `fault`: the same for all lanes of a rank.
  init(
    _ lane: Lane = .gradients, engine: any CollectiveEngine, spins: Bool, heartbeat: Heartbeat = Heartbeat(),
    fault: LaneFault? = nil, observer: (any WaitObserver)? = nil
  ) {
    self.heartbeat = heartbeat
    beat = LaneHeartbeat(heartbeat: heartbeat, lane: lane)
    self.fault = fault ?? LaneFault(heartbeat)
    self.engine = engine
    self.spins = spins
    self.observer = observer
    ring.initialize(repeating: Collective(.barrier), count: Int(Self.ringCapacity))
    thread = PthreadHandle(blockingSignals: true) { [self] in run() }
  }

  deinit { ring.deallocate() }

  /// Number of operations asked for so far.
  var operationCount: UInt64 { submitted.load(ordering: .relaxed) }

  /// Whether that operation is done.
  func hasDone(_ ticket: UInt64) -> Bool { completed.load(ordering: .acquiring) >= ticket }

  /// Whether nothing that was asked for is left to do.
  var isIdle: Bool { completed.load(ordering: .acquiring) == submitted.load(ordering: .acquiring) }

  /// Appends an operation and returns its ticket. Blocks while the ring is full.
  func submit(_ collective: Collective) -> UInt64 {
    guard let timeline = heartbeat.timeline else { return append(collective) }
    let begin = monotonicNanoseconds()
    let ticket = append(collective)
    timeline.submitted(collective, ticket, begin: begin)
    return ticket
  }

  private func append(_ collective: Collective) -> UInt64 {
    mutex.lock()
    precondition(!stopped, "\(collective.kind) after finalize()")
    if collective.kind == .stop { stopped = true }
    var ticket = submitted.load(ordering: .relaxed) + 1
    while ticket - completed.load(ordering: .relaxed) > Self.ringCapacity {
      mutex.unlock()
      sleep(until: ticket - Self.ringCapacity)
      mutex.lock()
      ticket = submitted.load(ordering: .relaxed) + 1
    }
    ring[Int(ticket % Self.ringCapacity)] = collective
    submitted.store(ticket, ordering: .releasing)
    workArrived.signal()
    mutex.unlock()
    return ticket
  }

  /// Blocks until the operation that `ticket` names is done; throws the error that kept it from being done.
  func wait(for ticket: UInt64) throws(CommunicationError) {
    let begin = heartbeat.timeline == nil ? 0 : monotonicNanoseconds()
    if !spin(until: ticket, of: completed) { sleep(until: ticket) }
    // Its place in the ring is not given away before this thread asks for more.
    heartbeat.timeline?.waited(for: ring[Int(ticket % Self.ringCapacity)], ticket, begin: begin)
    if failedTicket.load(ordering: .acquiring) <= ticket { throw failure! }
  }

  /// Sleeps until that operation is done.
  private func sleep(until ticket: UInt64) {
    observer?.waits(for: ticket, of: beat.lane)
    mutex.lock()
    while completed.load(ordering: .relaxed) < ticket { workDone.wait(mutex) }
    mutex.unlock()
    observer?.goesOn()
  }

  /// Submits and waits.
  func perform(_ collective: Collective) throws(CommunicationError) {
    try wait(for: submit(collective))
  }

  /// Asks the engine to stop, unless it has failed, and ends the thread. The last call.
  func stop() {
    _ = submit(Collective(.stop))
    thread?.join()
    thread = nil
  }

  private func run() {
    var ticket: UInt64 = 1
    while true {
      if !spin(until: ticket, of: submitted) {
        mutex.lock()
        while submitted.load(ordering: .relaxed) < ticket { workArrived.wait(mutex) }
        mutex.unlock()
      }
      let collective = ring[Int(ticket % Self.ringCapacity)]
      let error = fault.error ?? perform(collective, ticket)
      mutex.lock()
      if let error, failure == nil {
        failure = error
        failedTicket.store(ticket, ordering: .releasing)
      }
      completed.store(ticket, ordering: .releasing)
      workDone.broadcast()
      mutex.unlock()
      if collective.kind == .stop { return }
      observer?.isDone()
      ticket += 1
    }
  }

  /// Returns why it failed.
  private func perform(_ collective: Collective, _ ticket: UInt64) -> CommunicationError? {
    beat.arrive(ticket, collective)
    do throws(CommunicationError) {
      try engine.perform(collective)
      beat.leave()
      return nil
    } catch {
      beat.leave()
      fault.record(error)
      return error
    }
  }

  /// Whether `counter` has reached `ticket`, polling for a moment where that costs nobody a core.
  private func spin(until ticket: UInt64, of counter: borrowing Atomic<UInt64>) -> Bool {
    if counter.load(ordering: .acquiring) >= ticket { return true }
    guard spins else { return false }
    let deadline = monotonicSeconds() + Self.spinSeconds
    repeat {
      for _ in 0..<32 where counter.load(ordering: .acquiring) >= ticket { return true }
    } while monotonicSeconds() < deadline
    return false
  }
}
