import Glibc
import Synchronization

/// Passes requests to stop on to the child that does the work: a launcher is what people and schedulers signal.
///
/// SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 to this process become one signal that the child understands as "finish
/// the step, write a checkpoint, end with 85": SIGUSR1, which mpirun passes on at once, while it keeps SIGTERM back
/// (docs/adr/0006-signals.md). A second SIGTERM, SIGINT or SIGHUP becomes SIGTERM: mpirun then ends its ranks the hard
/// way, within two seconds.
enum StopForwarding {
  private static let child = Atomic<Int32>(0)
  private static let firstSignal = Atomic<Int32>(0)
  private static let requestCount = Atomic<Int>(0)
  private static let endCount = Atomic<Int>(0)

  /// The first signal that asked for a stop, if one did.
  static var signalNumber: Int32? {
    let number = firstSignal.load(ordering: .relaxed)
    return number == 0 ? nil : number
  }

  /// Waits for a moment, shorter if a stop is asked for meanwhile.
  static func sleep(seconds: Int) {
    for _ in 0..<(seconds * 20) where signalNumber == nil { usleep(50_000) }
  }

  /// Installs the handlers. A SIGHUP that is ignored (nohup) stays ignored.
  static func install() {
    var previous = sigaction()
    sigaction(SIGHUP, nil, &previous)
    let ignoresHangup = unsafeBitCast(previous.__sigaction_handler.sa_handler, to: Int.self) == 1
    for number in [SIGTERM, SIGINT, SIGUSR1, SIGUSR2] + (ignoresHangup ? [] : [SIGHUP]) {
      signal(number) { StopForwarding.receive($0) }
    }
  }

  /// The child to signal from now on, or 0 once it has ended. What was asked for before reaches it now.
  static func setChild(_ process: Int32) {
    child.store(process, ordering: .sequentiallyConsistent)
    if process != 0 && requestCount.load(ordering: .sequentiallyConsistent) > 0 { forward(to: process) }
  }

  // In a signal handler: atomics and kill alone.
  private static func receive(_ number: Int32) {
    _ = firstSignal.compareExchange(expected: 0, desired: number, ordering: .relaxed)
    if number != SIGUSR1 && number != SIGUSR2 { endCount.add(1, ordering: .relaxed) }
    requestCount.add(1, ordering: .sequentiallyConsistent)
    let process = child.load(ordering: .sequentiallyConsistent)
    if process != 0 { forward(to: process) }
  }

  private static func forward(to process: Int32) {
    kill(process, endCount.load(ordering: .relaxed) > 1 ? SIGTERM : SIGUSR1)
  }
}
