import Foundation
import TestSupport
import Testing

private let shell = URL(fileURLWithPath: "/bin/sh")

/// The tool that the distributed tests rest on.
@Suite struct ProcessRunTests {
  @Test func reportsOutputAndExitCode() throws {
    let run = try ProcessRun(shell, ["-c", "echo out; echo err >&2; exit 85"]).wait()
    #expect(run.exitCode == 85)
    #expect(run.stdout == "out\n")
    #expect(run.stderr == "err\n")
    #expect(!run.timedOut)
  }

  @Test func outputOfAnySizeDoesNotBlock() throws {
    let run = try ProcessRun(shell, ["-c", "head -c 1000000 /dev/zero | tr '\\0' x"]).wait()
    #expect(run.stdout.utf8.count == 1_000_000)
  }

  @Test func reportsSignalsAsAShellDoes() throws {
    let run = try ProcessRun(shell, ["-c", "echo ready; exec sleep 60"], timeoutSeconds: 30)
    #expect(run.waitForOutput(containing: "ready"))
    run.signal(SIGTERM)
    let outcome = run.wait()
    #expect(outcome.exitCode == 128 + SIGTERM)
    #expect(!outcome.timedOut)
  }

  @Test func killsWhatTakesTooLong() throws {
    let outcome = try ProcessRun(shell, ["-c", "exec sleep 60"], timeoutSeconds: 0.2).wait()
    #expect(outcome.timedOut)
    #expect(outcome.exitCode == 128 + SIGKILL)
  }

  @Test func waitingForOutputEndsWithTheProcess() throws {
    let run = try ProcessRun(shell, ["-c", "echo something else"], timeoutSeconds: 30)
    #expect(!run.waitForOutput(containing: "ready"))
    #expect(run.wait().stdout == "something else\n")
  }

  @Test func theEnvironmentOfAnotherLauncherIsLeftOut() throws {
    let names = MPIRun.cleanEnvironment.keys
    #expect(!names.contains { $0.hasPrefix("OMPI_") || $0.hasPrefix("PMIX_") })
    #expect(names.contains("PATH"))
  }
}
