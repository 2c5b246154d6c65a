import Communication
import Foundation
import TestSupport
import Testing

private let probe = ProcessRun.product("CommunicationProbe")

/// Real ranks: `CommunicationProbe` under mpirun checks what it receives; here its exit code and words are checked.
@Suite(
  .serialized, .enabled(if: MPIRun.launcher != nil, "mpirun is not installed"),
  .enabled(if: Communicators.supportsMPI, "built without MPI"))
struct MPICommunicatorTests {
  @Test(arguments: 1...4)
  func everyCollectiveIsRightAndEqualOnAllRanksAndFromRunToRun(ranks: Int) throws {
    let first = try MPIRun.run(np: ranks, executable: probe, arguments: ["collectives"])
    #expect(first.exitCode == 0, "\(first.stderr)")
    #expect(first.stdout.hasPrefix("collectives ok ranks=\(ranks) local=\(ranks) fingerprint="))
    // Two operands have no order to vary.
    if ranks <= 2 { return }
    let second = try MPIRun.run(np: ranks, executable: probe, arguments: ["collectives"])
    #expect(first.stdout == second.stdout)
  }

  @Test(arguments: [1, 3])
  func theEnvironmentSaysWhatMPISays(ranks: Int) throws {
    let run = try MPIRun.run(np: ranks, executable: probe, arguments: ["environment"])
    #expect(run.exitCode == 0, "\(run.stderr)")
    #expect(run.stdout == "environment ok mpirun MPICommunicator\n")
  }

  @Test func parametersOfMPIAreOursUnlessTheyAreSet() throws {
    let run = try MPIRun.run(
      np: 1, executable: probe, arguments: ["parameters"], environment: ["OMPI_MCA_btl_tcp_sndbuf": "0"])
    #expect(run.exitCode == 0, "\(run.stderr)")
    #expect(
      run.stdout == """
        btl_tcp_flags=send,inplace,need-ack,need-csum,hetero-rdma
        btl_tcp_sndbuf=0
        mpi_yield_when_idle=1
        pml_ob1_send_pipeline_depth=1

        """)
  }

  @Test func withoutALauncherNoMPIIsStarted() throws {
    let run = try ProcessRun(probe, ["environment"], environment: MPIRun.cleanEnvironment).wait()
    #expect(run.exitCode == 0, "\(run.stderr)")
    #expect(run.stdout == "environment ok no launcher SingleProcess\n")
  }

  @Test func theLauncherOfAnotherMPIIsNoticed() throws {
    // Ranks that MPI cannot connect see a world of another size than the launcher announced.
    let run = try MPIRun.run(
      np: 1, executable: URL(fileURLWithPath: "/usr/bin/env"),
      arguments: ["OMPI_COMM_WORLD_SIZE=2", probe.path, "environment"])
    #expect(run.exitCode == 78)
    #expect(run.stderr.contains("error: MPI cannot be used – mpirun started 2 processes, MPI sees 1"))
  }

  @Test func allRanksEndWithTheSameCode() throws {
    let run = try MPIRun.run(np: 3, executable: probe, arguments: ["exit"])
    #expect(run.exitCode == 85)
  }

  @Test func aRankThatThrowsEndsAllRanks() throws {
    let run = try MPIRun.run(np: 3, executable: probe, arguments: ["fail"])
    #expect(run.exitCode == 70)
    #expect(run.stderr.contains("error: rank 2: WrongResult(what: \"a failure of rank 2\")"))
  }

  @Test func abortEndsAllRanksWhileACollectiveIsBlocked() throws {
    let run = try MPIRun.run(np: 3, executable: probe, arguments: ["fail-during-reduction"])
    #expect(run.exitCode == 70)
  }

  @Test func aRankThatDiesEndsAllRanks() throws {
    let run = try MPIRun.run(np: 3, executable: probe, arguments: ["die"])
    #expect(run.exitCode == 128 + SIGKILL)
  }

  @Test func anErrorOfMPIEndsAllRanks() throws {
    let run = try MPIRun.run(np: 2, executable: probe, arguments: ["mismatch"])
    #expect(run.exitCode == 75)
    #expect(
      run.stderr.contains("a collective operation failed – allReduce(sum) of 100 Double on rank 0: MPI_ERR"))
  }

  @Test(arguments: [2, 3, 4])
  func statisticsOvertakeGradients(ranks: Int) throws {
    let run = try MPIRun.run(np: ranks, executable: probe, arguments: ["lanes"])
    #expect(run.exitCode == 0, "\(run.stderr)")
    #expect(run.stdout == "lanes ok ranks=\(ranks)\n")
  }

  @Test func statisticsOfShardsOvertakeGradients() throws {
    let run = try MPIRun.run(
      np: 2, executable: probe, arguments: ["lanes"], environment: ["PROBE_SHARDS": "4"])
    #expect(run.exitCode == 0, "\(run.stderr)")
    #expect(run.stdout == "lanes ok ranks=4\n")
  }

  @Test(arguments: [Lane.gradients, .statistics])
  func aFaultInOneLaneEndsTheWaitInTheOther(failing: Lane) throws {
    let run = try MPIRun.run(np: 2, executable: probe, arguments: ["fault-in-\(failing)"], timeoutSeconds: 60)
    #expect(run.exitCode == 75, "\(run.stderr)")
    let (failed, stuck) = failing == .gradients ? ("Float", "Double") : ("Double", "Float")
    #expect(
      run.stderr.contains(
        "error: a collective operation failed – allReduce(sum) of 100 \(failed) on rank 0: MPI_ERR"),
      "\(run.stderr)")
    #expect(run.stderr.contains(" – rank 0 cannot leave allReduce(sum) of 8 \(stuck)\n"), "\(run.stderr)")
  }

  @Test func ranksThatDisagreeRefuseToStart() throws {
    let run = try MPIRun.run(np: 3, executable: probe, arguments: ["disagree"])
    #expect(run.exitCode == 78)
    for rank in 0..<3 {
      #expect(
        run.stderr.contains("rank \(rank): ranks disagree – batch-size: ranks 0-1 have `32`, rank 2 has `64`")
      )
    }
  }

  @Test func ranksOutOfStepEnd() throws {
    let run = try MPIRun.run(np: 3, executable: probe, arguments: ["out-of-step"])
    #expect(run.exitCode == 70)
    #expect(run.stderr.contains("ranks are out of step – step: 7 on rank 0, 8 on rank 2"))
  }

  @Test(arguments: [nil, 2])
  func aSignalStopsAllRanksAtTheSameStep(signalledRank: Int?) throws {
    let run = try MPIRun.start(np: 3, executable: probe, arguments: ["steps"])
    #expect(run.waitForOutput(containing: "\n"))
    let identifiers = run.stdoutSoFar.split(whereSeparator: \.isWhitespace).dropFirst().compactMap {
      Int32($0)
    }
    try #require(identifiers.count == 3)
    if let signalledRank {
      kill(identifiers[signalledRank], SIGUSR1)
    } else {
      // mpirun passes SIGUSR1 on to all ranks.
      run.signal(SIGUSR1)
    }
    let outcome = run.wait()
    #expect(outcome.exitCode == 85, "\(outcome.stderr)")
    #expect(outcome.stdout.hasSuffix("stopped together\n"))
  }
}

@Suite(
  .enabled(if: MPIRun.launcher != nil, "mpirun is not installed"),
  .enabled(if: !Communicators.supportsMPI, "built with MPI"))
struct WithoutMPITests {
  @Test func severalRanksAreRefused() throws {
    let run = try MPIRun.run(np: 2, executable: probe, arguments: ["environment"])
    #expect(run.exitCode == 78)
    #expect(
      run.stderr.contains("error: MPI cannot be used – mpirun started several ranks, but this icnn was built")
    )
  }

  @Test func oneRankIsASingleProcess() throws {
    let run = try MPIRun.run(np: 1, executable: probe, arguments: ["environment"])
    #expect(run.exitCode == 0, "\(run.stderr)")
    #expect(run.stdout == "environment ok mpirun SingleProcess\n")
  }
}
