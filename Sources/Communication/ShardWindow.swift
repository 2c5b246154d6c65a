import Glibc

/// The parameters of a process and the gradients of its shards: one set of values and velocities, which all shards update,
/// each its part.
final class ShardWindow {
  private let count: Int
  private let shards: Int
  private let values: UnsafeMutablePointer<Float>
  private let velocities: UnsafeMutablePointer<Float>
  private let gradients: [UnsafeMutablePointer<Float>]

  /// Zeroed arenas of `count` floats.
  init(shards: Int, count: Int) {
    self.shards = shards
    self.count = count
    values = Self.arena(count)
    velocities = Self.arena(count)
    gradients = (0..<shards).map { _ in Self.arena(count) }
  }

  deinit {
    for arena in [values, velocities] + gradients { free(arena) }
  }

  /// Where a shard works.
  func memory(of shard: Int) -> GradientExchange.Memory {
    GradientExchange.Memory(
      gradients: gradients[shard], values: values, velocities: velocities, shared: nil)
  }

  /// What a shard updates: its part of the arenas, in whole vectors, by the sums that lie in the first shard's.
  func share(of shard: Int) -> GradientExchange.Share {
    let vectors = (count + 15) / 16
    let bound = { (shard: Int) in min(self.count, shard * vectors / self.shards * 16) }
    return GradientExchange.Share(range: bound(shard)..<bound(shard + 1), gradients: [gradients[0]])
  }

  /// On huge pages where the system grants them.
  private static func arena(_ count: Int) -> UnsafeMutablePointer<Float> {
    let byteCount = max(count, 1) * MemoryLayout<Float>.stride
    var raw: UnsafeMutableRawPointer?
    let status = posix_memalign(&raw, byteCount >= 2 << 20 ? 2 << 20 : 64, byteCount)
    precondition(status == 0, "no memory for \(byteCount) bytes of parameters")
    madvise(raw, byteCount, MADV_HUGEPAGE)
    let arena = raw!.bindMemory(to: Float.self, capacity: max(count, 1))
    arena.initialize(repeating: 0, count: max(count, 1))
    return arena
  }
}
