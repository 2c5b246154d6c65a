import Communication
import Foundation
import TestSupport
import Testing

private let probe = ProcessRun.product("CommunicationProbe")

/// Eight shards on real ranks: `CommunicationProbe` checks every collective against its definition, and gradients against
/// the tree; here the results of different numbers of ranks are compared.
@Suite(
  .serialized, .enabled(if: MPIRun.launcher != nil, "mpirun is not installed"),
  .enabled(if: Communicators.supportsMPI, "built without MPI"))
struct TreeAllReduceTests {
  @Test(arguments: ["collectives", "gradients"])
  func theBitsDoNotTellHowManyRanksThereWere(mode: String) throws {
    let fingerprints = try [1, 2, 4].map { ranks in
      let run = try MPIRun.run(
        np: ranks, executable: probe, arguments: [mode],
        environment: ["PROBE_SHARDS": "8", "PROBE_REDUCTION": "automatic"], timeoutSeconds: 240)
      #expect(run.exitCode == 0, "\(run.stderr)")
      #expect(run.stdout.hasPrefix("\(mode) ok ranks=8 "), "\(run.stdout)")
      return run.stdout.components(separatedBy: "fingerprint=").last
    }
    #expect(Set(fingerprints).count == 1, "\(fingerprints)")
    #expect(fingerprints[0]?.isEmpty == false)
  }

  @Test func threeRanksAreRefusedByAll() throws {
    let run = try MPIRun.run(
      np: 3, executable: probe, arguments: ["collectives"], environment: ["PROBE_SHARDS": "8"])
    #expect(run.exitCode == 78)
    #expect(run.stderr.contains("8 shards cannot be divided among 3 ranks – start 1, 2, 4, 8 ranks"))
  }
}
