/// How many of a process's threads may compute at a time.
final class Permits: @unchecked Sendable {
  private let mutex = PthreadMutex()
  private let freed = PthreadCondition()
  /// Guarded by `mutex`.
  private var free: Int

  init(count: Int) {
    precondition(count > 0, "\(count) permits")
    free = count
  }

  /// Takes a permit; sleeps until there is one.
  func acquire() {
    mutex.withLock {
      while free == 0 { freed.wait(mutex) }
      free -= 1
    }
  }

  /// Gives one back.
  func release() {
    mutex.withLock { free += 1 }
    freed.signal()
  }
}
