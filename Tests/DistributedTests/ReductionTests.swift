import Communication
import Foundation
import TestSupport
import Testing

@Suite(
  "Paths of the gradients", .serialized, .enabled(if: MPIRun.launcher != nil, "mpirun is not installed"),
  .enabled(if: Communicators.supportsMPI, "built without MPI"))
struct ReductionTests {
  private static func train(
    _ folder: String, _ name: String, ranks: Int, steps: Int = 6, _ options: String...
  ) throws -> ProcessRun.Outcome {
    try train(folder, name, ranks: ranks, steps: steps, options)
  }

  private static func train(
    _ folder: String, _ name: String, ranks: Int, steps: Int = 6, _ options: [String]
  ) throws -> ProcessRun.Outcome {
    let run = try Program.run(
      ranks: ranks, Program.training(folder + "/" + name, "--steps", "\(steps)") + options)
    #expect(run.exitCode == 0, "\(run.stderr)")
    return run
  }

  @Test("two ranks get the same bits from a window and from an all-reduce, and the start line tells which")
  func windowEqualsPlain() throws {
    try Program.withFolder { folder in
      // In parts, so that gradients are written out: a window otherwise sums those of linear layers over images, not ranks.
      let parts = ["--accumulate", "2", "--batch-size", "8"]
      let window = try Self.train(folder, "window", ranks: 2, parts)
      let plain = try Self.train(folder, "plain", ranks: 2, parts + ["--reduction", "plain"])
      #expect((window.stdout + window.stderr).contains("gradients: shared window of 2 ranks"))
      #expect((plain.stdout + plain.stderr).contains("gradients: plain all-reduce"))
      let model = try Program.newest(folder + "/window", "model.safetensors")
      #expect(try model == Program.newest(folder + "/plain", "model.safetensors"))
      // Rounded gradients are another training, close by at first; later any difference grows, soonest in the scaled
      // filter loss.
      let literal = ["--reduction", "plain", "--filter-loss", "literal"]
      _ = try Self.train(folder, "exact", ranks: 2, literal)
      _ = try Self.train(folder, "rounded", ranks: 2, literal + ["--gradient-exchange", "bfloat16"])
      #expect(
        try Program.newest(folder + "/exact", "model.safetensors")
          != Program.newest(folder + "/rounded", "model.safetensors"))
      let exact = try Program.losses(folder + "/exact")
      let rounded = try Program.losses(folder + "/rounded")
      try #require(exact.count == 6 && rounded.count == 6)
      #expect(exact[0] == rounded[0])
      for (a, b) in zip(exact, rounded).prefix(3) { #expect(abs(a - b) <= 1e-2 * abs(a)) }
    }
  }

  @Test("a resumed run on as many ranks ends with the same bits", arguments: ["plain", "window"])
  func resumed(path: String) throws {
    try Program.withFolder { folder in
      let options = ["--reduction", path, "--checkpoint-every", "3"]
      _ = try Self.train(folder, "run", ranks: 3, options)
      let files = ["model.safetensors", "optimizer.safetensors"]
      let whole = try files.map { try Program.newest(folder + "/run", $0) }
      // As if it had been killed after the first checkpoint.
      try FileManager.default.removeItem(atPath: folder + "/run/checkpoints/step-00000006")
      let resumed = try Self.train(folder, "run", ranks: 3, options + ["--resume"])
      #expect(resumed.stderr.contains("resumed at step 3 "), "\(resumed.stderr)")
      #expect(try files.map { try Program.newest(folder + "/run", $0) } == whole)
    }
  }
}
