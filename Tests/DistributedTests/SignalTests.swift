import Communication
import Foundation
import TestSupport
import Testing

@Suite("Stopping by signal", .serialized) struct SignalTests {
  private static func endless(_ run: String) -> [String] {
    Program.training(run, "--epochs", "100000", "--validate-every", "1000")
  }

  /// Waits until a few steps are done.
  private static func awaitSteps(_ run: String) {
    while ((try? Program.losses(run).count) ?? 0) < 4 { usleep(20_000) }
  }

  private static func check(_ outcome: ProcessRun.Outcome, _ run: String, resumeRanks: Int) throws {
    #expect(outcome.exitCode == 85, "\(outcome.stderr)")
    let steps = try Program.losses(run).count
    #expect(Program.checkpoints(run).last?.hasSuffix(String(steps)) == true)
    // The checkpoint is complete: training goes on from it.
    let resumed = try Program.run(
      ranks: resumeRanks, Program.training(run, "--steps", String(steps + 2), "--resume"))
    #expect(resumed.exitCode == 0, "\(resumed.stderr)")
    #expect(try Program.losses(run).count == steps + 2)
  }

  @Test("one process writes a checkpoint and ends with 85", arguments: [SIGTERM, SIGINT, SIGUSR1])
  func oneProcess(signal: Int32) throws {
    try Program.withFolder { folder in
      let process = try Program.start(Self.endless(folder + "/run"))
      Self.awaitSteps(folder + "/run")
      process.signal(signal)
      try Self.check(process.wait(), folder + "/run", resumeRanks: 1)
    }
  }

  @Test(
    "SIGUSR1 to mpirun stops all ranks at the same step",
    .enabled(if: MPIRun.launcher != nil && Communicators.supportsMPI, "no MPI"))
  func mpirun() throws {
    try Program.withFolder { folder in
      let process = try MPIRun.start(
        np: 2, executable: Program.executable, arguments: Self.endless(folder + "/run"), timeoutSeconds: 60)
      Self.awaitSteps(folder + "/run")
      process.signal(SIGUSR1)
      try Self.check(process.wait(), folder + "/run", resumeRanks: 2)
    }
  }

  @Test(
    "SIGTERM to one rank stops all of them at the same step",
    .enabled(if: MPIRun.launcher != nil && Communicators.supportsMPI, "no MPI"))
  func oneRank() throws {
    try Program.withFolder { folder in
      let process = try MPIRun.start(
        np: 2, executable: Program.executable, arguments: Self.endless(folder + "/run"), timeoutSeconds: 60)
      Self.awaitSteps(folder + "/run")
      let ranks = try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { Int32($0) }.filter
      {
        let status = (try? String(contentsOfFile: "/proc/\($0)/status", encoding: .utf8)) ?? ""
        return status.contains("PPid:\t\(process.processIdentifier)\n") && status.contains("Name:\ticnn\n")
      }
      try #require(ranks.count == 2)
      kill(ranks.max()!, SIGTERM)
      try Self.check(process.wait(), folder + "/run", resumeRanks: 1)
    }
  }

  @Test(
    "SIGTERM to mpirun leaves a complete checkpoint",
    .enabled(if: MPIRun.launcher != nil && Communicators.supportsMPI, "no MPI"))
  func terminatedLauncher() throws {
    try Program.withFolder { folder in
      let run = folder + "/run"
      let process = try MPIRun.start(
        np: 2, executable: Program.executable, arguments: Self.endless(run), timeoutSeconds: 60)
      Self.awaitSteps(run)
      process.signal(SIGTERM)
      // Open MPI 4.1 ends with 1 whatever its ranks end with (docs/adr/0006-signals.md).
      #expect(process.wait().exitCode == 1)
      let steps = try Program.losses(run).count
      #expect(Program.checkpoints(run).last?.hasSuffix(String(steps)) == true)
      #expect(try Program.run(["info", run]).exitCode == 0)
    }
  }
}
