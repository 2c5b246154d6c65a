import Glibc
import Synchronization

/// The first error of a rank's lanes: once one has failed, none tries anything more.
///
/// What the other lane is in the middle of goes on, since its buffers are in use. It usually ends by itself, soon, with an error of
/// its own. If it does not, whoever waits for it would wait for ever: then `abandon` ends the process.
///
/// Safe to share: `first` is written once, before `isSet`, and read by those who see that.
final class LaneFault: @unchecked Sendable {
  private let mutex = PthreadMutex()
  private let isSet = Atomic<Bool>(false)
  private var first: CommunicationError?
  private let heartbeat: Heartbeat
  private let graceSeconds: Double
  private let abandon: (@Sendable (CommunicationError, RankStatus) -> Void)?

  /// Of the lanes that `heartbeat` is told of. `abandon`: what to do about a lane that is in the same operation `graceSeconds` after
  /// the other has failed; nil where operations always end.
  init(
    _ heartbeat: Heartbeat, graceSeconds: Double = 10,
    abandon: (@Sendable (CommunicationError, RankStatus) -> Void)? = nil
  ) {
    self.heartbeat = heartbeat
    self.graceSeconds = graceSeconds
    self.abandon = abandon
  }

  /// The first error; nil: none so far.
  var error: CommunicationError? { isSet.load(ordering: .acquiring) ? first : nil }

  /// A lane has failed, and is no longer in its operation.
  func record(_ error: CommunicationError) {
    let isFirst = mutex.withLock {
      guard first == nil else { return false }
      first = error
      isSet.store(true, ordering: .releasing)
      return true
    }
    if isFirst, let abandon { watch(error, abandon) }
  }

  private func watch(
    _ error: CommunicationError, _ abandon: @escaping @Sendable (CommunicationError, RankStatus) -> Void
  ) {
    // By lane, the operation that it is in; 0: in none.
    let before = Self.operations(heartbeat.status)
    _ = PthreadHandle(blockingSignals: true) { [heartbeat, graceSeconds] in
      usleep(UInt32(graceSeconds * 1e6))
      let now = heartbeat.status
      let isStuck = zip(before, Self.operations(now)).contains { $0 > 0 && $0 == $1 }
      if isStuck { abandon(error, now) }
    }
  }

  private static func operations(_ status: RankStatus) -> [UInt64] {
    Lane.allCases.map { status[$0].isWaiting ? status[$0].arrived : 0 }
  }
}
