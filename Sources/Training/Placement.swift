import Communication
import Tensors

/// Where a job runs, for a person: "2 ranks × 1 threads", "8 shards on 2 ranks".
func placement(ranks: Int, threads: Int, shards: Int?) -> String {
  let ranks = "\(ranks) rank\(ranks == 1 ? "" : "s")"
  return shards.map { "\($0) shards on \(ranks)" } ?? "\(ranks) × \(threads) threads"
}

extension Communicator {
  /// Where this job runs, for a person. `reproducible`: these ranks are shards.
  func placement(reproducible: Bool) -> String {
    Training.placement(ranks: processCount, threads: CPU.threadCount, shards: reproducible ? size : nil)
  }
}
