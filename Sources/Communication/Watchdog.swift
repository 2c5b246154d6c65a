#if WITH_MPI
  import Glibc

  /// A thread that ends this process with code 75 when a wait for other ranks is a stall (`StallRule`), and shows the other
  /// ranks of the node that this process runs.
  ///
  /// It calls nothing of MPI, which may be what hangs: a process that ends without MPI_Finalize is what makes the launcher
  /// end the others, on this host and on those it reaches. Where no launcher does, they have watchdogs of their own.
  final class Watchdog: @unchecked Sendable {
    private let rule: StallRule
    private let heartbeat: Heartbeat
    private let board: StatusBoard?
    /// Seconds between two looks.
    private let interval: Double
    /// Not before: after this process was halted itself, what it saw last is old.
    private var quietUntil = 0.0
    /// Seconds that a node where nobody is missing leaves the word to the node that knows more.
    private static let deference = 2.0

    init(_ rule: StallRule, _ heartbeat: Heartbeat, _ board: StatusBoard?) {
      self.rule = rule
      self.heartbeat = heartbeat
      self.board = board
      interval = min(1, rule.timeout / 16)
    }

    /// Runs until the process ends.
    func start() { _ = PthreadHandle(blockingSignals: true) { self.run() } }

    private func run() {
      var lastLook = monotonicSeconds()
      while true {
        heartbeat.tick()
        usleep(UInt32(interval * 1e6))
        let now = monotonicSeconds()
        if now - lastLook > interval + rule.timeout / 4 { quietUntil = now + rule.timeout }
        lastLook = now
        if now >= quietUntil { look(now) }
      }
    }

    private func look(_ now: Double) {
      let own = heartbeat.status
      guard let stall = rule.stall(own, board?.statuses ?? [own], now: now) else { return }
      if case .unseen = stall.cause { usleep(UInt32(Self.deference * 1e6)) }
      if board?.isFirstToSpeak() ?? true {
        let line = Array("error: \(rule.message(stall, own, now: now))\n".utf8)
        _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
        // The launcher carries words from other hosts; it must not end before they have arrived.
        usleep(200_000)
      } else {
        // Another rank of this node speaks, and is what the launcher notices first.
        usleep(UInt32(Self.deference * 1e6))
      }
      _exit(CommunicationError.stallExitCode)
    }
  }
#endif
