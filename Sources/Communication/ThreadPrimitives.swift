import Glibc

/// A mutex at a fixed address. Foundation's locks would pull Foundation into every process for two functions.
final class PthreadMutex: @unchecked Sendable {
  fileprivate let storage = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  init() {
    storage.initialize(to: pthread_mutex_t())
    pthread_mutex_init(storage, nil)
  }

  deinit {
    pthread_mutex_destroy(storage)
    storage.deallocate()
  }

  func lock() { pthread_mutex_lock(storage) }
  func unlock() { pthread_mutex_unlock(storage) }

  func withLock<Result: ~Copyable, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    lock()
    defer { unlock() }
    return try body()
  }
}

/// A condition variable; every use holds the same `PthreadMutex`.
final class PthreadCondition: @unchecked Sendable {
  private let storage = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init() {
    storage.initialize(to: pthread_cond_t())
    pthread_cond_init(storage, nil)
  }

  deinit {
    pthread_cond_destroy(storage)
    storage.deallocate()
  }

  /// Releases `mutex`, sleeps, and holds it again on return. Wakes spuriously: callers test in a loop.
  func wait(_ mutex: PthreadMutex) { pthread_cond_wait(storage, mutex.storage) }
  func signal() { pthread_cond_signal(storage) }
  func broadcast() { pthread_cond_broadcast(storage) }
}

/// A joinable operating-system thread. Collectives block, and Swift's task pool is only as wide as the CPU
/// affinity, so blocking in tasks deadlocks.
struct PthreadHandle: @unchecked Sendable {
  private let handle: pthread_t

  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Starts a thread. With `blockingSignals` it takes no asynchronous signal, and neither do the threads it
  /// starts: SIGTERM and SIGUSR1 stay with the threads of the program.
  init(blockingSignals: Bool, _ run: @escaping @Sendable () -> Void) {
    var previous = sigset_t()
    if blockingSignals {
      var blocked = sigset_t()
      sigfillset(&blocked)
      for faults in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP] { sigdelset(&blocked, faults) }
      pthread_sigmask(SIG_BLOCK, &blocked, &previous)
    }
    var created = pthread_t()
    let status = pthread_create(
      &created, nil,
      { argument in
        Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
        return nil
      }, Unmanaged.passRetained(Body(run)).toOpaque())
    if blockingSignals { pthread_sigmask(SIG_SETMASK, &previous, nil) }
    precondition(status == 0, "pthread_create failed: \(String(cString: strerror(status)))")
    handle = created
  }

  /// Blocks until the thread has ended. At most once.
  func join() { pthread_join(handle, nil) }
}

/// Seconds of a clock that never goes back, the same for all processes of a host.
func monotonicSeconds() -> Double { Double(monotonicNanoseconds()) * 1e-9 }

/// The same clock in nanoseconds.
func monotonicNanoseconds() -> UInt64 {
  var now = timespec()
  clock_gettime(CLOCK_MONOTONIC, &now)
  return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}
