import Foundation
import Testing

@testable import Communication

/// Notes what it is asked for; fails at one operation.
private final class RecordingEngine: CollectiveEngine, @unchecked Sendable {
  private let lock = NSLock()
  private var performedCounts: [Int] = []
  private var performedKinds: [Collective.Kind] = []
  private var threads: Set<ObjectIdentifier> = []
  private let failingCount: Int?
  /// Held while operations must not be finished.
  let gate = NSLock()

  init(failingCount: Int? = nil) { self.failingCount = failingCount }

  var counts: [Int] { lock.withLock { performedCounts } }
  var kinds: [Collective.Kind] { lock.withLock { performedKinds } }
  var threadCount: Int { lock.withLock { threads.count } }

  func perform(_ collective: Collective) throws(CommunicationError) {
    gate.lock()
    gate.unlock()
    lock.withLock {
      performedCounts.append(collective.count)
      performedKinds.append(collective.kind)
      threads.insert(ObjectIdentifier(Thread.current))
    }
    if collective.count == failingCount {
      throw .collectiveFailed(operation: "operation \(collective.count)", reason: "asked for")
    }
  }
}

private func operation(_ count: Int) -> Collective {
  var collective = Collective(.allReduceDouble)
  collective.count = count
  return collective
}

@Suite struct CommunicationThreadTests {
  @Test(arguments: [false, true])
  func performsAllInOrderOnOneThread(spins: Bool) throws {
    let engine = RecordingEngine()
    let thread = CommunicationThread(engine: engine, spins: spins)
    let tickets = (1...1000).map { thread.submit(operation($0)) }
    #expect(tickets == (1...1000).map { UInt64($0) })
    try thread.wait(for: 1000)
    #expect(engine.counts == Array(1...1000))
    #expect(engine.threadCount == 1)
    #expect(thread.operationCount == 1000)
    thread.stop()
    #expect(engine.kinds.last == .stop)
  }

  @Test(arguments: [false, true])
  func waitingIsForOneOperationNotForAll(spins: Bool) throws {
    let engine = RecordingEngine()
    let thread = CommunicationThread(engine: engine, spins: spins)
    try thread.perform(operation(1))
    engine.gate.lock()
    let later = thread.submit(operation(2))
    try thread.wait(for: 1)
    #expect(engine.counts == [1])
    engine.gate.unlock()
    try thread.wait(for: later)
    #expect(engine.counts == [1, 2])
    thread.stop()
  }

  @Test func aFullRingHoldsTheCallerBack() throws {
    let engine = RecordingEngine()
    let thread = CommunicationThread(engine: engine, spins: false)
    engine.gate.lock()
    let submitted = DispatchSemaphore(value: 0)
    let last = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      for count in 1...256 { _ = thread.submit(operation(count)) }
      submitted.signal()
      _ = thread.submit(operation(257))
      last.signal()
    }
    submitted.wait()
    // The 257th cannot be accepted while the first is under way, however long one waits.
    #expect(last.wait(timeout: .now() + 0.05) == .timedOut)
    #expect(thread.operationCount == 256)
    engine.gate.unlock()
    last.wait()
    try thread.wait(for: 257)
    #expect(engine.counts == Array(1...257))
    thread.stop()
  }

  @Test func afterAnErrorNothingIsTried() throws {
    let engine = RecordingEngine(failingCount: 2)
    let thread = CommunicationThread(engine: engine, spins: false)
    let expected = CommunicationError.collectiveFailed(operation: "operation 2", reason: "asked for")
    for count in 1...3 { _ = thread.submit(operation(count)) }
    try thread.wait(for: 1)
    for ticket in 2...3 as ClosedRange<UInt64> {
      #expect(throws: expected) { try thread.wait(for: ticket) }
    }
    #expect(throws: expected) { try thread.perform(operation(4)) }
    // MPI_Finalize would wait for the peer that is lost.
    thread.stop()
    #expect(engine.counts == [1, 2])
  }

  @Test func nothingIsAskedForAfterTheEnd() async {
    await #expect(processExitsWith: .failure) {
      let thread = CommunicationThread(engine: RecordingEngine(), spins: false)
      thread.stop()
      _ = thread.submit(operation(1))
    }
  }

  @Test func signalsStayWithTheThreadsOfTheProgram() {
    @Sendable func isBlocked(_ signal: Int32) -> Bool {
      var mask = sigset_t()
      pthread_sigmask(SIG_SETMASK, nil, &mask)
      return sigismember(&mask, signal) == 1
    }
    // The threads of tests block all signals; those of a program none.
    var none = sigset_t()
    var previous = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &previous)
    defer { pthread_sigmask(SIG_SETMASK, &previous, nil) }
    let inThread = Mutexed((term: false, fault: true))
    PthreadHandle(blockingSignals: true) {
      inThread.withLock { $0 = (isBlocked(SIGTERM), isBlocked(SIGSEGV)) }
    }.join()
    #expect(inThread.withLock { $0.term })
    #expect(!inThread.withLock { $0.fault })
    #expect(!isBlocked(SIGTERM))
  }
}
