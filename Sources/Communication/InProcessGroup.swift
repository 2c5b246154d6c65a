import CKernels
import Glibc

/// N ranks on N threads of one process, so that distributed arithmetic is tested without MPI.
///
/// Reductions are carried out in the order of ranks, so results are bitwise identical on all ranks and from run
/// to run. Ranks that meet in different operations, a rank that throws and a rank that ends early are errors on
/// all ranks; nothing waits for ever.
public enum InProcessGroup {
  /// Runs `body` once per rank, each on its own thread, and returns their results in the order of ranks.
  ///
  /// Throws the first error that any rank threw. The other ranks then find `CommunicationError.peerFailed` in
  /// whatever they wait for.
  @discardableResult
  public static func run<Result: Sendable>(
    size: Int, _ body: @escaping @Sendable (any Communicator) throws -> Result
  ) throws -> [Result] {
    precondition(size > 0, "InProcessGroup of \(size) ranks")
    let meeting = Meeting(size: size)
    let outcomes = Outcomes<Result>(size: size)
    let threads = (0..<size).map { rank in
      PthreadHandle(blockingSignals: false) {
        let communicator = InProcessRank(rank: rank, meeting: meeting)
        do {
          outcomes.succeed(rank: rank, try body(communicator))
        } catch {
          // Recorded before the others are released, so that the cause comes before its consequences.
          outcomes.fail(error)
          meeting.fail(.peerFailed(rank: rank, reason: "\(error)"))
        }
        communicator.finalize()
      }
    }
    for thread in threads { thread.join() }
    return try outcomes.results()
  }
}

/// What the ranks' bodies returned or threw.
private final class Outcomes<Result: Sendable>: @unchecked Sendable {
  private let mutex = PthreadMutex()
  private var values: [Result?]
  private var firstError: (any Error)?

  init(size: Int) { values = Array(repeating: nil, count: size) }

  func succeed(rank: Int, _ value: Result) { mutex.withLock { values[rank] = value } }

  func fail(_ error: any Error) { mutex.withLock { firstError = firstError ?? error } }

  func results() throws -> [Result] {
    if let firstError { throw firstError }
    return values.map { $0! }
  }
}

/// One rank of the group.
private final class InProcessRank: QueuedCommunicator {
  let rank: Int
  let size: Int
  let thread: CommunicationThread
  var localRank: Int { rank }
  var localSize: Int { size }
  let windowRefusal: String? = "ranks are threads of one process"

  private let meeting: Meeting
  private let finalized = PthreadOnce()

  init(rank: Int, meeting: Meeting) {
    self.rank = rank
    self.size = meeting.size
    self.meeting = meeting
    // Twice as many threads as ranks: polling would only keep the others from running.
    thread = CommunicationThread(engine: InProcessEngine(rank: rank, meeting: meeting), spins: false)
  }

  func finalize() {
    guard finalized.first() else { return }
    meeting.leave(rank: rank)
    thread.stop()
  }

  func abort(code: Int32) -> Never { exit(code) }
}

/// True for the first caller only.
private final class PthreadOnce: @unchecked Sendable {
  private let mutex = PthreadMutex()
  private var done = false

  func first() -> Bool {
    mutex.withLock {
      defer { done = true }
      return !done
    }
  }
}

private final class InProcessEngine: CollectiveEngine {
  private let rank: Int
  private let meeting: Meeting

  init(rank: Int, meeting: Meeting) {
    self.rank = rank
    self.meeting = meeting
  }

  func perform(_ collective: Collective) throws(CommunicationError) {
    if collective.kind != .stop { try meeting.join(rank: rank, collective) }
  }
}

/// Where the ranks' communication threads meet. The last to arrive does the work for all; the others sleep
/// meanwhile, so their buffers are its own to use.
private final class Meeting: @unchecked Sendable {
  let size: Int
  private let mutex = PthreadMutex()
  private let changed = PthreadCondition()
  /// Guarded by `mutex`, like everything below: what each arrived rank wants; nil if it has not arrived.
  private var wanted: [Collective?]
  private var ended: [Int] = []
  private var generation: UInt64 = 0
  private var failure: CommunicationError?

  init(size: Int) {
    self.size = size
    wanted = Array(repeating: nil, count: size)
  }

  func join(rank: Int, _ collective: Collective) throws(CommunicationError) {
    try mutex.withLock { () throws(CommunicationError) in
      if let failure { throw failure }
      wanted[rank] = collective
      checkNobodyWaitsForTheEnded()
      if failure == nil, wanted.allSatisfy({ $0 != nil }) {
        try meet(wanted.map { $0! })
        for rank in 0..<size { wanted[rank] = nil }
        generation += 1
        changed.broadcast()
        return
      }
      let current = generation
      while generation == current, failure == nil { changed.wait(mutex) }
      // An operation that all ranks reached is done, even if one of them failed a moment later.
      if generation == current, let failure { throw failure }
    }
  }

  /// `rank` will join no more operations.
  func leave(rank: Int) {
    mutex.withLock {
      ended.append(rank)
      checkNobodyWaitsForTheEnded()
    }
  }

  func fail(_ error: CommunicationError) {
    mutex.withLock {
      failure = failure ?? error
      changed.broadcast()
    }
  }

  private func checkNobodyWaitsForTheEnded() {
    guard failure == nil, let gone = ended.first, let waiting = wanted.firstIndex(where: { $0 != nil })
    else { return }
    failure = .mismatchedCollectives(
      detail: "rank \(waiting) calls \(wanted[waiting]!), rank \(gone) has ended")
    changed.broadcast()
  }

  private func meet(_ collectives: [Collective]) throws(CommunicationError) {
    if let other = collectives.firstIndex(where: { !$0.matches(collectives[0]) }) {
      let mismatch = CommunicationError.mismatchedCollectives(
        detail: "rank 0 calls \(collectives[0]), rank \(other) calls \(collectives[other])")
      failure = mismatch
      changed.broadcast()
      throw mismatch
    }
    let first = collectives[0]
    switch first.kind {
    case .allReduceFloat: reduce(collectives, Float.self)
    case .allReduceDouble: reduce(collectives, Double.self)
    case .sumBFloat16: sumBFloat16(collectives)
    case .broadcast:
      for (rank, collective) in collectives.enumerated() where rank != first.root && first.count > 0 {
        collective.buffer!.copyMemory(from: collectives[first.root].buffer!, byteCount: first.count)
      }
    case .allGather:
      for receiver in collectives {
        for (rank, sender) in collectives.enumerated() {
          (receiver.buffer! + rank * first.count).copyMemory(from: sender.source!, byteCount: first.count)
        }
      }
    case .barrier, .start, .stop: break
    case .openWindow, .windowSum, .windowFinish, .windowUpdated:
      preconditionFailure("\(first) on threads of one process")
    }
  }

  /// The arithmetic of `BFloat16AllReduce`, to the last bit.
  private func sumBFloat16(_ collectives: [Collective]) {
    let count = collectives[0].count
    guard count > 0 else { return }
    let rounded = UnsafeMutablePointer<UInt16>.allocate(capacity: count * size)
    defer { rounded.deallocate() }
    let buffers = collectives.map { $0.buffer!.assumingMemoryBound(to: Float.self) }
    for (rank, buffer) in buffers.enumerated() {
      ck_bfloat16_round(buffer, rounded + rank * count, Int64(count))
    }
    ck_bfloat16_sum(rounded, Int64(size), Int64(count), rounded, Int64(count))
    for buffer in buffers { ck_bfloat16_expand(rounded, buffer, Int64(count)) }
  }

  private func reduce<Element: ReducibleElement>(_ collectives: [Collective], _: Element.Type) {
    let count = collectives[0].count
    guard count > 0 else { return }
    let buffers = collectives.map { $0.buffer!.assumingMemoryBound(to: Element.self) }
    for operand in buffers.dropFirst() {
      collectives[0].operation.combine(into: buffers[0], operand, count: count)
    }
    for copy in buffers.dropFirst() { copy.update(from: buffers[0], count: count) }
  }
}
