import Communication
import Tensors
import Training

/// Runs `body` on the ranks of this job, watched and with their threads, or on its shards if it is reproducible, and ends
/// the program with the code that it returns.
func withRanks(
  _ configuration: TrainingConfiguration, _ threads: ThreadOptions, _ stall: StallOptions,
  _ body: @escaping @Sendable (any Communicator) throws -> Int32
) throws -> Never {
  try withRanks { ranks in
    ranks.watch(stallTimeoutSeconds: stall.stallTimeout)
    guard configuration.reproducible else {
      try threads.configure(ranks)
      return try body(ranks)
    }
    try onAllRanks(ranks) { try configuration.validate(ranks: configuration.shards) }
    // Threads take whole shards, as many at a time as the rank has threads: kernels that divide their work among
    // threads would do it in another way on another number of them.
    let concurrency = try threads.count(ranks)
    CPU.configure(threads: 1)
    return try ShardGroup.run(
      count: configuration.shards, on: ranks, concurrency: concurrency, body)
  }
}
