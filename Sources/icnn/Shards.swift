import Communication
import Tensors
import Training

/// Runs `body` on the shards of a reproducible job, as `withRanks` does on ranks.
///
/// Threads take whole shards, as many at a time as the rank has threads: kernels that divide their work among threads
/// would do it in another way on another number of them.
func withShards(
  _ configuration: TrainingConfiguration, _ threads: ThreadOptions, _ ranks: any Communicator,
  _ body: @escaping @Sendable (any Communicator) throws -> Int32
) throws -> Int32 {
  try configuration.validate(ranks: configuration.shards)
  let concurrency = try threads.count(ranks)
  CPU.configure(threads: 1)
  return try ShardGroup.run(
    count: configuration.shards, on: ranks, concurrency: concurrency, body)
}
