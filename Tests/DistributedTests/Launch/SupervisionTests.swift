import Communication
import Foundation
import TestSupport
import Testing

/// What becomes of a training whose ranks meet misfortune. mpirun is real where ranks are; where only the launcher's own
/// doing is looked at, a script stands in for it.
@Suite(
  "Supervision", .serialized, .enabled(if: MPIRun.launcher != nil, "mpirun is not installed"),
  .enabled(if: Communicators.supportsMPI, "built without MPI"))
struct SupervisionTests {
  /// 60 steps with a checkpoint after every fourth.
  private static func training(_ run: String, _ more: String...) -> [String] {
    Program.training(run, "--steps", "60", "--checkpoint-every", "4", "--validate-every", "1000") + more
  }

  private static func launch(_ options: [String], _ command: [String]) throws -> ProcessRun {
    try Program.start(
      ["launch", "--np", "2", "--mpirun-options", "--oversubscribe"] + options + ["--"] + command,
      environment: MPIRun.settings)
  }

  private static func awaitCheckpoint(_ process: ProcessRun, _ run: String) throws -> [Int32] {
    let hasBegun = process.wait { !Program.checkpoints(run).isEmpty }
    try #require(hasBegun, "\(process.wait().stderr)")
    let ranks = process.descendants(running: Program.executable)
    try #require(ranks.count == 2)
    return ranks
  }

  /// Whether a process does more than wait to be asked about its end.
  private static func isRunning(_ process: Int32) -> Bool {
    let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
    return status.map { !$0.contains("State:\tZ") } ?? false
  }

  /// The weights after 60 undisturbed steps on 2 ranks.
  private static let undisturbed: Data = {
    try! Program.withFolder { folder in
      let run = try Program.run(ranks: 2, training(folder + "/run"))
      precondition(run.exitCode == 0, run.stderr)
      return try Program.newest(folder + "/run")
    }
  }()

  @Test(
    "a rank that is killed: the training is resumed and ends with the bits of an undisturbed one",
    arguments: [0, 1])
  func killed(rank: Int) throws {
    try Program.withFolder { folder in
      let run = folder + "/run"
      let process = try Self.launch(["--log", folder + "/log"], Self.training(run))
      kill(try Self.awaitCheckpoint(process, run)[rank], SIGKILL)
      let ended = process.wait()
      #expect(ended.exitCode == 0, "\(ended.stderr)")
      #expect(try Program.newest(run) == Self.undisturbed)
      let log = try String(contentsOfFile: folder + "/log", encoding: .utf8)
      #expect(log.contains("end 1: code 75") && log.contains("a rank was ended by signal 9 – "), "\(log)")
      #expect(log.contains("start 2: 2 ranks, from step ") && log.contains("end 2: code 0"), "\(log)")
    }
  }

  @Test("a rank that is halted: its peer names it, the training is resumed")
  func halted() throws {
    try Program.withFolder { folder in
      let run = folder + "/run"
      let process = try Self.launch([], Self.training(run, "--stall-timeout", "3"))
      kill(try Self.awaitCheckpoint(process, run)[1], SIGSTOP)
      let ended = process.wait()
      #expect(ended.exitCode == 0, "\(ended.stderr)")
      #expect(ended.stderr.contains("error: a rank is halted or dead – rank 1 (process "), "\(ended.stderr)")
      #expect(ended.stderr.contains("end 1: code 75"))
      #expect(try Program.newest(run) == Self.undisturbed)
    }
  }

  @Test("mpirun itself is killed: what it leaves behind is ended before the next start")
  func killedLauncher() throws {
    try Program.withFolder { folder in
      let run = folder + "/run"
      let process = try Self.launch([], Self.training(run))
      let ranks = try Self.awaitCheckpoint(process, run)
      let status = try String(contentsOfFile: "/proc/\(ranks[0])/status", encoding: .utf8)
      let parent = try #require(
        status.split(separator: "\n").first { $0.hasPrefix("PPid:") }?.split(separator: "\t")[1])
      kill(try #require(Int32(parent)), SIGKILL)
      let ended = process.wait()
      #expect(ended.exitCode == 0, "\(ended.stderr)")
      for rank in ranks { #expect(!Self.isRunning(rank)) }
      #expect(try Program.newest(run) == Self.undisturbed)
    }
  }

  @Test("the launcher itself is killed: its ranks end with a checkpoint, another launcher goes on at once")
  func killedSupervisor() throws {
    try Program.withFolder { folder in
      let run = folder + "/run"
      let process = try Self.launch([], Self.training(run))
      let ranks = try Self.awaitCheckpoint(process, run)
      kill(process.processIdentifier, SIGKILL)
      let next = try Self.launch([], Self.training(run, "--resume")).wait()
      #expect(next.exitCode == 0, "\(next.stderr)")
      #expect(!next.stderr.contains("start 2"), "\(next.stderr)")
      for rank in ranks { #expect(!Self.isRunning(rank)) }
      _ = process.wait()
      #expect(try Program.newest(run) == Self.undisturbed)
    }
  }

  // MARK: a script in the place of mpirun

  /// A program that notes its arguments in a file, then does what `body` says.
  private static func standIn(_ folder: String, _ body: String) throws -> String {
    let path = folder + "/mpirun"
    try "#!/bin/sh\necho \"$*\" >>\(folder)/calls\n\(body)\n".write(
      toFile: path, atomically: true, encoding: .utf8)
    chmod(path, 0o755)
    return path
  }

  private static func calls(_ folder: String) throws -> [String] {
    try String(contentsOfFile: folder + "/calls", encoding: .utf8).split(separator: "\n").map(String.init)
  }

  @Test("without progress it gives up, with the code of the last attempt")
  func givesUp() throws {
    try Program.withFolder { folder in
      let ended = try Self.launch(
        ["--mpirun", Self.standIn(folder, "exit 137"), "--max-restarts", "1"], Self.training(folder + "/run")
      ).wait()
      #expect(ended.exitCode == 75, "\(ended.stderr)")
      #expect(ended.stderr.contains("giving up: 1 restarts without a new checkpoint"))
      #expect(try Self.calls(folder).count == 2)
    }
  }

  @Test("after a checkpoint it goes on as often as it must, and never from nothing")
  func progress() throws {
    try Program.withFolder { folder in
      let run = folder + "/run"
      let script = try Self.standIn(
        folder,
        """
        n=$(wc -l <\(folder)/calls)
        [ "$n" = 4 ] && exit 0
        mkdir -p \(run)/checkpoints/step-0000000$n
        exit 139
        """)
      let ended = try Self.launch(["--mpirun", script, "--max-restarts", "1"], Self.training(run)).wait()
      #expect(ended.exitCode == 0, "\(ended.stderr)")
      let calls = try Self.calls(folder)
      #expect(calls.count == 4)
      #expect(calls.map { $0.hasSuffix(" --resume --require-checkpoint") } == [false, true, true, true])
    }
  }

  @Test("a run folder that vanishes is not begun anew")
  func vanished() throws {
    try Program.withFolder { folder in
      let run = folder + "/run"
      let script = try Self.standIn(
        folder,
        """
        n=$(wc -l <\(folder)/calls)
        [ "$n" = 1 ] && mkdir -p \(run)/checkpoints/step-00000001 && exit 139
        [ "$n" = 2 ] && rm -r \(run) && exit 139
        while [ "$1" != train ]; do shift; done
        exec \(Program.executable.path) "$@"
        """)
      let ended = try Self.launch(["--mpirun", script], Self.training(run)).wait()
      #expect(ended.exitCode == 66, "\(ended.stderr)")
      #expect(ended.stderr.contains("no checkpoint – \(run)"), "\(ended.stderr)")
      let calls = try Self.calls(folder)
      #expect(calls.count == 3 && calls.last?.hasSuffix(" --resume --require-checkpoint") == true, "\(calls)")
      #expect(!FileManager.default.fileExists(atPath: run))
    }
  }

  @Test("a run without a checkpoint may begin anew")
  func noCheckpointYet() throws {
    try Program.withFolder { folder in
      let run = folder + "/run"
      let script = try Self.standIn(folder, "mkdir -p \(run)\necho 1 >>\(run)/metrics.jsonl\nexit 139")
      let ended = try Self.launch(["--mpirun", script, "--max-restarts", "1"], Self.training(run)).wait()
      #expect(ended.exitCode == 75, "\(ended.stderr)")
      let calls = try Self.calls(folder)
      #expect(calls.map { $0.hasSuffix(" --resume") } == [false, true], "\(calls)")
    }
  }

  @Test("a job that does nothing is ended, even one that does not listen")
  func stalled() throws {
    try Program.withFolder { folder in
      let script = try Self.standIn(
        folder, "trap '' TERM\nsleep 1000 &\necho $! >\(folder)/child\nwhile :; do sleep 1; done")
      let ended = try Self.launch(
        ["--mpirun", script, "--max-restarts", "0", "--progress-timeout", "2"],
        Self.training(folder + "/run", "--stall-timeout", "1")
      ).wait()
      #expect(ended.exitCode == 75 && !ended.timedOut, "\(ended.stderr)")
      #expect(ended.stderr.contains("error: the job made no progress for 2 s"), "\(ended.stderr)")
      let child = try String(contentsOfFile: folder + "/child", encoding: .utf8)
      let process = try #require(Int32(child.split(separator: "\n")[0]))
      for _ in 0..<100 where Self.isRunning(process) { usleep(20_000) }
      #expect(!Self.isRunning(process))
    }
  }

  @Test("fewer ranks while a host is gone, all when it is back")
  func hosts() throws {
    try Program.withFolder { folder in
      let run = folder + "/run"
      try "a slots=1\nb slots=1 # second\n".write(
        toFile: folder + "/hosts", atomically: true, encoding: .utf8)
      // The first attempt finds only host a. Host b comes back meanwhile: SIGUSR1, and 85 as of a training.
      let script = try Self.standIn(
        folder,
        """
        while [ "$1" ]; do [ "$1" = --hostfile ] && cat "$2" >>\(folder)/hosts-used; shift; done
        [ "$(wc -l <\(folder)/calls)" = 2 ] && exit 0
        trap 'exit 85' USR1
        touch \(folder)/b-is-back
        while :; do sleep 0.1; done
        """)
      let ended = try Self.launch(
        [
          "--mpirun", script, "--hostfile", folder + "/hosts", "--min-ranks", "1", "--grow-interval", "1",
          "--probe", "test -e \(folder)/b-is-back || test a =",
        ], Self.training(run)
      ).wait()
      #expect(ended.exitCode == 0, "\(ended.stderr)")
      #expect(try Self.calls(folder).map { $0.prefix(5) } == ["-np 1", "-np 2"])
      #expect(ended.stderr.contains("no answer from b"))
      #expect(ended.stderr.contains("hosts are back: stopping after a checkpoint, to go on with 2 ranks"))
      let used = try String(contentsOfFile: folder + "/hosts-used", encoding: .utf8)
      #expect(used == "a slots=1\na slots=1\nb slots=1 # second\n")
    }
  }

  @Test("too few hosts are waited for, but not for ever")
  func tooFewHosts() throws {
    try Program.withFolder { folder in
      try "a slots=1\nb slots=1\n".write(toFile: folder + "/hosts", atomically: true, encoding: .utf8)
      let ended = try Self.launch(
        [
          "--mpirun", Self.standIn(folder, "exit 0"), "--hostfile", folder + "/hosts", "--max-restarts", "1",
          "--probe", "test a =",
        ], Self.training(folder + "/run")
      ).wait()
      #expect(ended.exitCode == 75, "\(ended.stderr)")
      #expect(ended.stderr.contains("error: too few hosts answer for 2 ranks"))
      #expect(!FileManager.default.fileExists(atPath: folder + "/calls"))
    }
  }

  @Test("srun is given its own options")
  func srun() throws {
    try Program.withFolder { folder in
      let ended = try Program.run(
        [
          "launch", "--np", "3", "--launcher", "srun", "--mpirun", Self.standIn(folder, "exit 0"),
          "--launcher-options", "--cpus-per-task=2 --quiet", "--",
        ] + Self.training(folder + "/run"))
      #expect(ended.exitCode == 0, "\(ended.stderr)")
      let call = try Self.calls(folder)[0]
      #expect(
        call.hasPrefix("--mpi=pmix --kill-on-bad-exit=1 --ntasks=3 --cpus-per-task=2 --quiet /"), "\(call)")
    }
  }

  @Test("keepalive and binding are set unless the user has set them")
  func settings() throws {
    try Program.withFolder { folder in
      let script = try Self.standIn(folder, "env >\(folder)/variables")
      func variables(_ options: String, _ own: [String: String]) throws -> [Substring] {
        let ended = try Program.run(
          ["launch", "--np", "2", "--mpirun", script, "--mpirun-options", options, "--", "bench"],
          environment: own)
        #expect(ended.exitCode == 0, "\(ended.stderr)")
        return try String(contentsOfFile: folder + "/variables", encoding: .utf8).split(separator: "\n")
      }
      let plain = try variables("", ["OMPI_MCA_oob_tcp_keepalive_time": "9"])
      #expect(plain.contains("OMPI_MCA_oob_tcp_keepalive_time=9"))
      #expect(plain.contains("OMPI_MCA_oob_tcp_keepalive_intvl=1"))
      #expect(plain.contains("OMPI_MCA_hwloc_base_binding_policy=none"))
      let bound = try variables("--bind-to core", [:])
      #expect(!bound.contains { $0.hasPrefix("OMPI_MCA_hwloc_base_binding_policy") })
    }
  }

  @Test("time-outs in the wrong order are refused")
  func order() throws {
    try Program.withFolder { folder in
      let ended = try Self.launch(
        ["--progress-timeout", "60"], Self.training(folder + "/run", "--stall-timeout", "60")
      ).wait()
      #expect(ended.exitCode == 64 && ended.stderr.contains("--progress-timeout 60"), "\(ended.stderr)")
    }
  }
}
