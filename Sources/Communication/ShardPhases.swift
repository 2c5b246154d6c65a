/// The phases of a process whose ranks are shards: other processes see what the shard does that is furthest behind.
///
/// Shards go through the same phases in the same order. One that waits in the forward pass for another that still waits
/// for images must not make its process look stalled.
///
/// Safe to share: everything that changes is guarded by `mutex`.
final class ShardPhases: @unchecked Sendable {
  private let process: Heartbeat
  private let mutex = PthreadMutex()
  /// How many phases each shard has entered.
  private var entered: [Int]

  /// For `count` shards of the process whose heartbeat is `process`.
  init(count: Int, of process: Heartbeat) {
    self.process = process
    entered = Array(repeating: 0, count: count)
  }

  /// Shard `index`, 0..<count, has entered `phase` of `step`.
  func enter(_ index: Int, _ phase: Heartbeat.Phase, step: Int) {
    mutex.withLock {
      entered[index] += 1
      let isLast = !entered.contains { $0 < entered[index] }
      if isLast { process.enter(phase, step: step) }
    }
  }
}
