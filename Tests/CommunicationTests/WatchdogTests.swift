import Communication
import Foundation
import TestSupport
import Testing

/// Real ranks that wait for one that does not come: `CommunicationProbe stall`, with a watchdog of 2 seconds.
@Suite(
  "Watchdog", .serialized, .enabled(if: MPIRun.launcher != nil, "mpirun is not installed"),
  .enabled(if: Communicators.supportsMPI, "built without MPI"))
struct WatchdogTests {
  private static func run(
    _ phase: String, _ seconds: Double, np: Int = 3, _ environment: [String: String] = [:]
  ) throws -> ProcessRun.Outcome {
    try MPIRun.run(
      np: np, executable: ProcessRun.product("CommunicationProbe"),
      arguments: ["stall", phase, String(seconds)], environment: environment, timeoutSeconds: 30)
  }

  @Test(
    "a halted rank ends the job and is named, in a window and in an all-reduce",
    arguments: ["window", "plain"]
  )
  func halted(reduction: String) throws {
    let run = try Self.run("backward", 0, ["PROBE_REDUCTION": reduction])
    #expect(run.exitCode == 75, "\(run.stderr)")
    #expect(run.stderr.contains("error: a rank is halted or dead – rank 2 (process "), "\(run.stderr)")
    #expect(run.stderr.contains("it was last in the backward pass, step 3"))
    #expect(run.stderr.components(separatedBy: "error: ").count == 2, "\(run.stderr)")
  }

  @Test("a rank that computes for ever is named")
  func stuck() throws {
    let run = try Self.run("forward", 20)
    #expect(run.exitCode == 75, "\(run.stderr)")
    #expect(run.stderr.contains("error: a rank is stalled – rank 2 (process "), "\(run.stderr)")
    #expect(run.stderr.contains("been in the forward pass, step 3"))
  }

  @Test("a rank that keeps the others' statistics waiting is named, and the lane")
  func statistics() throws {
    let run = try Self.run("forward", 20, ["PROBE_LANE": "statistics"])
    #expect(run.exitCode == 75, "\(run.stderr)")
    #expect(run.stderr.contains("error: a rank is stalled – rank 2 (process "), "\(run.stderr)")
    #expect(run.stderr.contains("of the lane of statistics: allReduce(sum) of 1 Double"), "\(run.stderr)")
  }

  @Test("a halted rank of another node is named by its host")
  func unseen() throws {
    let run = try Self.run("backward", 0, ["PROBE_NODE_LIMIT": "2"])
    #expect(run.exitCode == 75, "\(run.stderr)")
    #expect(
      run.stderr.contains(
        "error: ranks on other hosts are lost or stalled – all ranks of this host have arrived; not rank 2 on "
      ),
      "\(run.stderr)")
  }

  @Test("who writes a checkpoint or waits for images is waited for", arguments: ["checkpoint", "images"])
  func openEnded(phase: String) throws {
    let run = try Self.run(phase, 5)
    #expect(run.exitCode == 0, "\(run.stderr)")
  }

  // MARK: shards (reproducible runs): two ranks with four shards each

  private static func shards(_ phase: String, _ seconds: Double, nodeLimit: Int = 2) throws
    -> ProcessRun.Outcome
  {
    try run(
      phase, seconds, np: 2,
      ["PROBE_SHARDS": "8", "PROBE_REDUCTION": "automatic", "PROBE_NODE_LIMIT": "\(nodeLimit)"])
  }

  @Test("a rank with a shard that computes for ever is named")
  func stuckShard() throws {
    let run = try Self.shards("forward", 20)
    #expect(run.exitCode == 75, "\(run.stderr)")
    #expect(run.stderr.contains("error: a rank is stalled – rank 1 (process "), "\(run.stderr)")
    #expect(run.stderr.contains("been in the forward pass, step 3"), "\(run.stderr)")
  }

  @Test("halted shards of another node are noticed as soon as a halted rank")
  func unseenShards() throws {
    let run = try Self.shards("backward", 0, nodeLimit: 1)
    #expect(run.exitCode == 75, "\(run.stderr)")
    #expect(
      run.stderr.contains(
        "error: ranks on other hosts are lost or stalled – all ranks of this host have arrived; not rank 1 on "
      ),
      "\(run.stderr)")
    #expect(run.stderr.contains(" in the backward pass, step 3, in collective "), "\(run.stderr)")
  }

  @Test("a shard that waits for images is waited for, whatever the others of its rank do")
  func openEndedShard() throws {
    let run = try Self.shards("images", 5)
    #expect(run.exitCode == 0, "\(run.stderr)")
  }
}
