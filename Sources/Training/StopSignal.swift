import Glibc
import Synchronization

/// SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 ask for an orderly stop: the step is finished, a checkpoint written, the
/// program ends with code 85. A second SIGINT ends it at once.
public enum StopSignal {
  private static let received = Atomic<Int32>(0)

  /// Installs the handlers.
  public static func install() {
    received.store(0, ordering: .relaxed)
    for number in [SIGTERM, SIGINT, SIGUSR1, SIGUSR2] {
      signal(number) { number in
        if number == SIGINT && StopSignal.received.load(ordering: .relaxed) == SIGINT { _exit(130) }
        StopSignal.received.store(number, ordering: .relaxed)
      }
    }
  }

  /// The signal that was received, if one was.
  public static var number: Int32? {
    let value = received.load(ordering: .relaxed)
    return value == 0 ? nil : value
  }
}
