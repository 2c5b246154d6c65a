import Communication
import Foundation
import TestSupport
import Testing

/// `--reproducible`: the whole program, byte for byte.
@Suite(
  "Reproducible runs", .serialized, .enabled(if: MPIRun.launcher != nil, "mpirun is not installed"),
  .enabled(if: Communicators.supportsMPI, "built without MPI"))
struct ReproducibleTests {
  private static let files = ["model.safetensors", "optimizer.safetensors", "state.json", "CHECKSUMS"]

  /// 32 images in batches of 11, so that shards are uneven and a last batch is short.
  private static func train(_ folder: String, _ ranks: Int, steps: Int, _ more: String...) throws {
    let run = try Program.run(
      ranks: ranks,
      Program.training(folder, "--batch-size", "11", "--steps", "\(steps)", "--reproducible") + more)
    #expect(run.exitCode == 0, "\(run.stderr)")
  }

  private static func expectSame(_ a: String, _ b: String) throws {
    #expect(Program.checkpoints(a).last == Program.checkpoints(b).last)
    for file in files { #expect(try Program.newest(a, file) == Program.newest(b, file), "\(file)") }
  }

  @Test("1, 2 and 4 ranks write the same checkpoints, whatever the threads")
  func sameBytes() throws {
    try Program.withFolder { folder in
      try Self.train(folder + "/1", 1, steps: 7)
      try Self.train(folder + "/threads", 1, steps: 7, "--threads", "3")
      try Self.train(folder + "/2", 2, steps: 7)
      try Self.train(folder + "/4", 4, steps: 7)
      for other in ["threads", "2", "4"] { try Self.expectSame(folder + "/1", folder + "/" + other) }
      let losses = try Program.losses(folder + "/1")
      #expect(losses.count == 7 && Set(losses).count == 7)
      #expect(try losses == Program.losses(folder + "/4"))
      // Ranks alone differ in last bits.
      let plain = try Program.run(
        ranks: 2, Program.training(folder + "/plain", "--batch-size", "11", "--steps", "7"))
      #expect(plain.exitCode == 0, "\(plain.stderr)")
      #expect(try Program.newest(folder + "/plain") != Program.newest(folder + "/1"))
    }
  }

  @Test("a run that was killed and resumed on other numbers of ranks ends with the undisturbed run's bytes")
  func resumedElsewhere() throws {
    try Program.withFolder { folder in
      try Self.train(folder + "/whole", 2, steps: 30, "--checkpoint-every", "4")
      let output = folder + "/parts"
      let options =
        Program.training(
          output, "--batch-size", "11", "--steps", "30", "--reproducible", "--checkpoint-every", "4")
      let run = try Program.start(ranks: 4, options)
      #expect(run.wait { !Program.checkpoints(output).isEmpty })
      kill(try #require(run.descendants(running: Program.executable).last), SIGKILL)
      #expect(run.wait().exitCode == 137)
      let reached = try #require(Program.checkpointSteps(output).last)
      #expect(reached < 30)
      let resumed = try Program.run(ranks: 1, options + ["--resume"])
      #expect(resumed.exitCode == 0, "\(resumed.stderr)")
      #expect((resumed.stdout + resumed.stderr).contains("resumed at step"))
      try Self.expectSame(folder + "/whole", output)
    }
  }

  @Test("what cannot be reproduced is refused")
  func refused() throws {
    try Program.withFolder { folder in
      let three = try Program.run(
        ranks: 3, Program.training(folder + "/3", "--batch-size", "11", "--reproducible"))
      #expect(three.exitCode == 78)
      #expect(three.stderr.contains("8 shards cannot be divided among 3 ranks"))
      let few = try Program.run(Program.training(folder + "/few", "--reproducible"))
      #expect(few.exitCode == 78)
      #expect(few.stderr.contains("7 images cannot be shared by 8 shards"))
      let rounded = try Program.run(
        Program.training(
          folder + "/rounded", "--batch-size", "11", "--reproducible", "--gradient-exchange", "bfloat16"))
      #expect(rounded.exitCode == 78)
      try Self.train(folder + "/run", 1, steps: 1)
      let other = try Program.run(
        Program.training(folder + "/run", "--batch-size", "11", "--steps", "2", "--resume"))
      #expect(other.exitCode != 0 && other.stderr.contains("reproducible was true and is now false"))
      let shards = try Program.run(
        Program.training(
          folder + "/run", "--batch-size", "11", "--steps", "2", "--resume", "--reproducible", "--shards", "4"
        ))
      #expect(shards.exitCode != 0 && shards.stderr.contains("shards was 8 and is now 4"))
    }
  }
}
