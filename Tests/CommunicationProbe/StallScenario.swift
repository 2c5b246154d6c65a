import Communication
import Foundation

/// Steps, under a watchdog of 2 seconds; in the fourth the last rank is in `phase` for `seconds` while the others wait for
/// its gradients, with PROBE_LANE=statistics for its statistics. 0: it halts for ever.
func stall(_ communicator: any Communicator, phase: String, seconds: Double) throws {
  let gradients = try ProbeGradients(communicator, count: 1 << 12)
  let phases = Heartbeat.Phase.allCases.filter { "\($0)".contains(phase) }
  let hasStatistics = ProcessInfo.processInfo.environment["PROBE_LANE"] == "statistics"
  for step in 0..<6 {
    if step == 3 {
      communicator.heartbeat.enter(phases[0], step: step)
      if communicator.rank == communicator.size - 1 {
        if seconds == 0 { kill(getpid(), SIGSTOP) }
        usleep(UInt32(seconds * 1e6))
      }
    }
    communicator.heartbeat.enter(.backward, step: step)
    if hasStatistics { _ = try communicator.allReduce([1], .sum) }
    gradients.start(0..<(1 << 12))
    try gradients.exchange.finish()
    _ = try gradients.exchange.finishUpdate(succeeded: true)
  }
  try communicator.barrier()
}
