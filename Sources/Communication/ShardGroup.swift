/// Shards: ranks that are threads, a fixed number of them on however many processes.
///
/// What N ranks compute differs in last bits from what M ranks compute, since sums are taken in another order. A job cut
/// into as many shards whatever the number of processes, with every reduction over them in one fixed tree
/// (`ReductionTree`), gives the same bits on 1, 2, 4, … processes. To what runs in it each shard is a rank.
public enum ShardGroup {
  /// Runs `body` once per shard of this process, each on its own thread, and returns the first one's result.
  ///
  /// - Parameters:
  ///   - count: shards on all processes together, a power of two. Process p of P has those from p · count / P on.
  ///   - outer: the processes.
  ///   - concurrency: shards of this process that compute at a time; the others sleep.
  /// - Throws: `indivisibleShards` (exit code 78) on all processes unless the number of processes is a power of two, at most `count`;
  ///   the first error that any shard threw.
  public static func run<Result: Sendable>(
    count: Int, on outer: any Communicator, concurrency: Int,
    _ body: @escaping @Sendable (any Communicator) throws -> Result
  ) throws -> Result {
    precondition(count > 0 && count.nonzeroBitCount == 1, "\(count) shards")
    guard outer.size.nonzeroBitCount == 1, outer.size <= count else {
      let possible = (0...count.trailingZeroBitCount).map { "\(1 << $0)" }.joined(separator: ", ")
      throw CommunicationError.indivisibleShards(shards: count, ranks: outer.size, possible: possible)
    }
    let group = ThreadGroup(
      size: count / outer.size, outer: outer as? any QueuedCommunicator, permits: Permits(count: concurrency))
    return try InProcessGroup.run(group, body)[0]
  }
}
