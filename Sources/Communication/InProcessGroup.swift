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
    return try run(ThreadGroup(size: size), body)
  }

  /// The same for the ranks of `group`.
  static func run<Result: Sendable>(
    _ group: ThreadGroup, _ body: @escaping @Sendable (any Communicator) throws -> Result
  ) throws -> [Result] {
    let outcomes = Outcomes<Result>(size: group.size)
    let threads = (0..<group.size).map { index in
      PthreadHandle(blockingSignals: false) {
        group.permits?.acquire()
        defer { group.permits?.release() }
        let communicator = ThreadRank(index: index, group: group)
        do {
          outcomes.succeed(index, try body(communicator))
        } catch {
          // Recorded before the others are released, so that the cause comes before its consequences.
          outcomes.fail(error)
          group.fail(.peerFailed(rank: communicator.rank, reason: "\(error)"))
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

  func succeed(_ index: Int, _ value: Result) { mutex.withLock { values[index] = value } }

  func fail(_ error: any Error) { mutex.withLock { firstError = firstError ?? error } }

  func results() throws -> [Result] {
    if let firstError { throw firstError }
    return values.map { $0! }
  }
}
