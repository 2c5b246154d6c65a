import Communication
import Foundation
import TestSupport
import Testing

@testable import icnn

@Suite(
  "icnn launch", .serialized, .enabled(if: MPIRun.launcher != nil, "mpirun is not installed"),
  .enabled(if: Communicators.supportsMPI, "built without MPI"))
struct LaunchTests {
  /// Starts `icnn launch` with 2 ranks, which here may share cores.
  private static func start(_ arguments: [String], ranks: Int = 2, launch: [String] = []) throws -> ProcessRun
  {
    try Program.start(
      ["launch", "--np", String(ranks), "--mpirun-options", "--oversubscribe"] + launch + ["--"] + arguments,
      environment: MPIRun.settings)
  }

  private static func endless(_ run: String) -> [String] {
    Program.training(run, "--epochs", "100000", "--validate-every", "1000")
  }

  private static func awaitCheckpoint(_ process: ProcessRun, _ run: String) throws {
    let hasBegun = process.wait { !Program.checkpoints(run).isEmpty }
    try #require(hasBegun, "\(process.wait().stderr)")
  }

  @Test("trains as mpirun does, with its output")
  func trains() throws {
    try Program.withFolder { folder in
      let launched = try Self.start(Program.training(folder + "/launched", "--steps", "3")).wait()
      #expect(launched.exitCode == 0, "\(launched.stderr)")
      #expect(launched.stderr.contains("on 2 ranks"))
      let run = try Program.run(ranks: 2, Program.training(folder + "/mpirun", "--steps", "3"))
      #expect(run.exitCode == 0, "\(run.stderr)")
      #expect(try Program.newest(folder + "/launched") == Program.newest(folder + "/mpirun"))
    }
  }

  @Test(
    "a signal stops all ranks after a step with a complete checkpoint",
    arguments: [SIGTERM, SIGINT, SIGHUP, SIGUSR1])
  func stops(signal: Int32) throws {
    try Program.withFolder { folder in
      let run = folder + "/run"
      let process = try Self.start(Self.endless(run))
      try Self.awaitCheckpoint(process, run)
      process.signal(signal)
      let stopped = process.wait()
      #expect(stopped.exitCode == 85, "\(stopped.stderr)")
      let steps = try Program.losses(run).count
      #expect(Program.checkpointSteps(run).last == steps)
      let resumed = try Self.start(
        Program.training(run, "--steps", String(steps + 2), "--resume"), ranks: 3
      ).wait()
      #expect(resumed.exitCode == 0 && resumed.stderr.contains("resumed at step \(steps) "))
    }
  }

  @Test("a second SIGTERM ends ranks that do not stop")
  func endsHard() throws {
    try Program.withFolder { folder in
      let run = folder + "/run"
      let process = try Self.start(Self.endless(run))
      try Self.awaitCheckpoint(process, run)
      // A rank that is halted finishes no step: the others wait for it, a first SIGTERM alone would change nothing.
      let ranks = process.descendants(running: Program.executable)
      try #require(ranks.count == 2)
      kill(ranks[0], SIGSTOP)
      process.signal(SIGTERM)
      // Two signals of one kind that are not yet delivered are one.
      while try Self.isPending(SIGTERM, process.processIdentifier) { usleep(1_000) }
      process.signal(SIGTERM)
      let ended = process.wait()
      #expect(ended.exitCode == 128 + SIGTERM && !ended.timedOut, "\(ended.stderr)")
      #expect(ended.stderr.contains("--resume"))
      // mpirun has seen them end before it ended itself; what is left at most is an entry that nobody has asked for.
      for rank in ranks {
        let status = try? String(contentsOfFile: "/proc/\(rank)/status", encoding: .utf8)
        #expect(status?.contains("State:\tZ") ?? true, "\(status ?? "")")
      }
      #expect(try Program.run(["info", run]).exitCode == 0)
    }
  }

  private static func isPending(_ signal: Int32, _ process: Int32) throws -> Bool {
    let status = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
    return try ["ShdPnd:", "SigPnd:"].contains { name in
      let line = try #require(status.split(separator: "\n").first { $0.hasPrefix(name) })
      let mask = try #require(UInt64(line.split(separator: "\t")[1], radix: 16))
      return mask & 1 << UInt64(signal - 1) != 0
    }
  }

  @Test("a rank that is killed is a lost peer, if nothing is to be started again")
  func lostRank() throws {
    try Program.withFolder { folder in
      let run = folder + "/run"
      let process = try Self.start(Self.endless(run), launch: ["--max-restarts", "0"])
      try Self.awaitCheckpoint(process, run)
      let ranks = process.descendants(running: Program.executable)
      try #require(ranks.count == 2)
      kill(ranks.randomElement()!, SIGKILL)
      let ended = process.wait()
      #expect(ended.exitCode == 75, "\(ended.stderr)")
      #expect(ended.stderr.contains("error: a rank was ended by signal 9 – the last checkpoint stands"))
      let steps = try #require(Program.checkpointSteps(run).last)
      let resumed = try Self.start(Program.training(run, "--steps", String(steps + 1), "--resume")).wait()
      #expect(resumed.exitCode == 0 && resumed.stderr.contains("resumed at step \(steps) "))
    }
  }

  @Test("the ranks' own codes and words come through, once")
  func codes() throws {
    try Program.withFolder { folder in
      let missing = try Self.start(Program.training(folder + "/a", data: "/nonexistent")).wait()
      #expect(missing.exitCode == 66)
      #expect(missing.stderr.components(separatedBy: "error: ").count == 2, "\(missing.stderr)")
      let nan = try Self.start(
        Program.training(folder + "/b", "--steps", "20") + ["--learning-rate", "1e30"]
      ).wait()
      #expect(nan.exitCode == 70 && nan.stderr.contains("step"), "\(nan.stderr)")
    }
  }

  @Test("wrong usage is told before mpirun starts")
  func usage() throws {
    try Program.withFolder { folder in
      let training = Program.training(folder + "/run", "--steps", "1")
      let cases: [(arguments: [String], code: Int32, words: String)] = [
        (["launch", "--", "train"], 64, "--np"),
        (["launch", "--np", "0", "--"] + training, 64, "--np takes 1 or more"),
        (["launch", "--np", "2"], 64, "what to run is missing"),
        (["launch", "--np", "2", "--", "predict"], 64, "does not run on ranks"),
        (["launch", "--np", "2", "--"] + training + ["--nonsense"], 64, "--nonsense"),
        (["launch", "--np", "2", "--hostfile", folder + "/none", "--"] + training, 66, "hostfile"),
        (["launch", "--np", "2", "--mpirun", folder + "/none", "--"] + training, 78, "no mpirun"),
        (["launch", "--np", "2", "--mpirun-options", "--no-such-option", "--"] + training, 78, "mpirun: "),
      ]
      for one in cases {
        let run = try Program.run(one.arguments, environment: MPIRun.settings)
        #expect(run.exitCode == one.code, "\(one.arguments): \(run.stderr)")
        #expect(run.stderr.contains(one.words), "\(one.arguments): \(run.stderr)")
      }
      #expect(!FileManager.default.fileExists(atPath: folder + "/run"))
      let nested = try Program.run(
        ["launch", "--np", "2", "--"] + training,
        environment: ["OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "0"])
      #expect(nested.exitCode == 64 && nested.stderr.contains("start it alone"))
    }
  }
}
