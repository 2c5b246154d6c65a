import Communication
import Foundation
import TestSupport
import Testing

@Suite(
  "Ranks under mpirun", .serialized, .enabled(if: MPIRun.launcher != nil, "mpirun is not installed"),
  .enabled(if: Communicators.supportsMPI, "built without MPI"))
struct EquivalenceTests {
  /// Dropout, every kind of augmentation, synchronised batch norm, batches of 7 and 4. At this learning rate the steps
  /// do not magnify the last bits of direct convolutions (docs/adr/0007-drift-between-ranks.md).
  @Test("N ranks give the losses and categories of one")
  func ranksEqualOne() throws {
    try Program.withFolder { folder in
      for ranks in 1...4 {
        let run = try Program.run(
          ranks: ranks,
          Program.training(
            folder + "/\(ranks)", "--steps", "50", "--dropout", "0.3", "--scale-jitter", "0.2",
            "--color-jitter", "0.2", "--validate-every", "1000") + [
              "--learning-rate", "1e-5", "--convolution", "exact", "--filter-loss-warmup-epochs", "0",
            ])
        #expect(run.exitCode == 0, "\(run.stderr)")
      }
      let one = try Program.losses(folder + "/1")
      try #require(one.count == 50)
      let categories = try Self.categories(folder + "/1")
      for ranks in 2...4 {
        let many = try Program.losses(folder + "/\(ranks)")
        try #require(many.count == 50)
        #expect(abs(one[0] - many[0]) <= 1e-5 * abs(one[0]))
        for (a, b) in zip(one, many) { #expect(abs(a - b) <= 1e-2 * abs(a)) }
        #expect(try Self.categories(folder + "/\(ranks)").prefix(4) == categories.prefix(4))
      }
    }
  }

  private static func categories(_ run: String) throws -> [[[Int]]] {
    try Program.metrics(run, "filters").map { step in
      (step as? [[String: Any]] ?? []).map { $0["filters_per_category"] as? [Int] ?? [] }
    }
  }

  @Test("N ranks find the same metrics, to the last digit", arguments: ["paper", "ordinary"])
  func evaluations(kind: String) throws {
    try Program.withFolder { folder in
      let run = folder + "/run"
      let training = Program.training(run, "--steps", "8") + (kind == "ordinary" ? ["--ordinary"] : [])
      #expect(try Program.run(training).exitCode == 0)
      let outputs = try (1...3).map { ranks in
        let outcome = try Program.run(
          ranks: ranks,
          [
            "evaluate", "--checkpoint", run, "--data", Program.data, "--split", "train", "--json",
            "--threads",
            "1", "--tail-probability", "0.1",
          ])
        #expect(outcome.exitCode == 0, "\(outcome.stderr)")
        return outcome.stdout
      }
      #expect(outputs[1] == outputs[0] && outputs[2] == outputs[0])
      let result = try #require(
        try JSONSerialization.jsonObject(with: Data(outputs[0].utf8)) as? [String: Any])
      #expect((result["filters"] as? [Any])?.count == 192)
      for name in ["location_instability", "part_interpretability", "purity", "accuracy"] {
        #expect(result[name] is Double, "\(name)")
      }
      #expect((result["left_out"] as? [String: String])?.isEmpty == true)
      let layer = (result["layer"] as? [String: Any])?["name"] as? String
      #expect(layer == (kind == "ordinary" ? "features.18" : "interpretable.0"))
    }
  }

  @Test("a killed run, resumed, ends with the bits of an undisturbed one", arguments: [1, 2])
  func killed(ranks: Int) throws {
    try Program.withFolder { folder in
      // As many steps for all: rates and the filter loss depend on the length of the run.
      let arguments = { Program.training(folder + "/" + $0, "--steps", "60", "--checkpoint-every", "3") }
      // Killed at some moment after the first checkpoint, long before the end, which differs from run to run; the result
      // must not.
      let process = try Program.start(ranks: ranks, arguments("killed"))
      let hasBegun = process.wait { !Program.checkpoints(folder + "/killed").isEmpty }
      try #require(hasBegun, "\(process.wait().stderr)")
      usleep(UInt32.random(in: 0..<300_000))
      let victims =
        ranks == 1 ? [process.processIdentifier] : process.descendants(running: Program.executable)
      try #require(victims.count == ranks)
      kill(victims.randomElement()!, SIGKILL)
      let died = process.wait()
      #expect(died.exitCode == 137 && !died.timedOut)

      #expect(try #require(Program.checkpointSteps(folder + "/killed").last) < 60)
      let resumed = try Program.run(ranks: ranks, arguments("killed") + ["--resume"])
      #expect(resumed.exitCode == 0, "\(resumed.stderr)")
      let whole = try Program.run(ranks: ranks, arguments("whole"))
      #expect(whole.exitCode == 0, "\(whole.stderr)")
      for file in ["model.safetensors", "optimizer.safetensors", "state.json"] {
        #expect(
          try Program.newest(folder + "/killed", file) == Program.newest(folder + "/whole", file), "\(file)")
      }
    }
  }

  @Test("two ranks with different data refuse to start and name the field")
  func differentData() throws {
    try Program.withFolder { folder in
      let other = folder + "/other"
      try FileManager.default.copyItem(atPath: Program.data, toPath: other)
      let victim =
        other + "/images/" + (try FileManager.default.contentsOfDirectory(atPath: other + "/images")[0])
      let image = try FileManager.default.contentsOfDirectory(atPath: victim)[0]
      let annotations = try String(contentsOfFile: other + "/annotations.jsonl", encoding: .utf8)
      try annotations.split(separator: "\n").filter {
        !$0.contains(victim.split(separator: "/").last! + "/" + image)
      }.joined(separator: "\n")
        .write(toFile: other + "/annotations.jsonl", atomically: true, encoding: .utf8)
      try FileManager.default.removeItem(atPath: victim + "/" + image)
      // The data folder is the same path on both hosts, its content is not: a link per rank.
      let script = folder + "/rank.sh"
      try """
      #!/bin/sh
      ln -s "$1" "\(folder)/data-$OMPI_COMM_WORLD_RANK"
      cd "\(folder)" && mkdir -p "host-$OMPI_COMM_WORLD_RANK" && cd "host-$OMPI_COMM_WORLD_RANK"
      if [ "$OMPI_COMM_WORLD_RANK" = 0 ]; then ln -s "\(Program.data)" data; else ln -s "\(other)" data; fi
      exec "\(Program.executable.path)" train --data data --output "\(folder)/run" --image-size 16 --steps 2
      """.write(toFile: script, atomically: true, encoding: .utf8)
      let run = try MPIRun.run(
        np: 2, executable: URL(fileURLWithPath: "/bin/sh"), arguments: [script, Program.data],
        timeoutSeconds: 60)
      #expect(run.exitCode == 78, "\(run.stderr)")
      #expect(run.stderr.contains("data-set fingerprint: rank 0 has") && run.stderr.contains("rank 1 has"))
    }
  }

  @Test("all ranks' errors are told once")
  func toldOnce() throws {
    try Program.withFolder { folder in
      let missing = try Program.run(ranks: 2, Program.training(folder + "/run", data: "/nonexistent"))
      #expect(missing.exitCode == 66)
      #expect(missing.stderr.components(separatedBy: "error: ").count == 2, "\(missing.stderr)")
      let few = try Program.run(
        ranks: 3, ["train", "--data", Program.data, "--output", folder + "/few", "--batch-size", "2"])
      #expect(few.exitCode == 78)
      #expect(few.stderr.contains("2 images cannot be shared by 3 ranks"))
      let debug = try Program.run(ranks: 2, Program.training(folder + "/debug", "--steps", "1", "--debug"))
      #expect(debug.exitCode == 64)
    }
  }

  @Test("evaluation on two ranks is that of one, printed once")
  func evaluation() throws {
    try Program.withFolder { folder in
      let run = folder + "/run"
      #expect(try Program.run(Program.training(run, "--steps", "5")).exitCode == 0)
      let arguments = ["evaluate", "--checkpoint", run, "--data", Program.data, "--split", "train", "--json"]
      let reports = try [1, 2].map { ranks in
        let outcome = try Program.run(ranks: ranks, arguments)
        #expect(outcome.exitCode == 0, "\(outcome.stderr)")
        return try #require(
          try JSONSerialization.jsonObject(with: Data(outcome.stdout.utf8)) as? [String: Any],
          "\(outcome.stdout)")
      }
      #expect(reports[0]["images"] as? Int == 32 && reports[1]["images"] as? Int == 32)
      #expect(reports[0]["confusion"] as? [[Int]] == reports[1]["confusion"] as? [[Int]])
      let losses = reports.map { $0["loss"] as? Double ?? .nan }
      #expect(abs(losses[0] - losses[1]) < 1e-6 * losses[0])
    }
  }

  @Test("bench runs on two ranks and prints one object")
  func bench() throws {
    let run = try Program.run(
      ranks: 2,
      [
        "bench", "--network", "compact", "--image-size", "16", "--batch-size", "4", "--steps", "2",
        "--classes", "3", "--threads", "1", "--json",
      ])
    #expect(run.exitCode == 0, "\(run.stderr)")
    let report = try #require(
      try JSONSerialization.jsonObject(with: Data(run.stdout.utf8)) as? [String: Any], "\(run.stdout)")
    let fields: Set = [
      "network", "batch_size", "ranks", "threads", "isa", "images_per_second", "step_ms_median",
      "step_ms_min",
      "forward_ms", "backward_ms", "communication_ms", "update_ms", "peak_memory_mb",
    ]
    #expect(fields.isSubset(of: Set(report.keys)))
    #expect(report["ranks"] as? Int == 2)
    #expect(report["profile"] == nil)
  }

  @Test("a profile has every layer, and its shares add up to the step")
  func profile() throws {
    let arguments = [
      "bench", "--network", "compact", "--image-size", "16", "--batch-size", "5", "--steps", "2", "--classes",
      "3", "--threads", "1", "--profile",
    ]
    let run = try Program.run(ranks: 2, arguments + ["--json"])
    #expect(run.exitCode == 0, "\(run.stderr)")
    let report = try #require(
      try JSONSerialization.jsonObject(with: Data(run.stdout.utf8)) as? [String: Any], "\(run.stdout)")
    let profile = try #require(report["profile"] as? [String: Any])
    #expect(try #require(profile["peak_gflops"] as? Double) > 0)
    #expect(try #require(profile["copy_gb_per_second"] as? Double) > 0)
    let layers = try #require(profile["layers"] as? [[String: Any]])
    let first = try #require(layers.first)
    #expect(first["name"] as? String == "features.0" && first["kind"] as? String == "convolution")
    // Rank 0 has 3 of the 5 images.
    #expect(first["output"] as? [Int] == [3, 32, 16, 16])
    #expect(first["algorithm"] is String)
    let forward = try #require(first["forward"] as? [String: Double])
    #expect(Set(forward.keys) == ["ms", "gflops", "peak_share"])
    #expect(layers.last?["name"] as? String == "classifier.1")
    #expect(layers.contains { $0["kind"] as? String == "interpretable mask" })
    let kinds = try #require(profile["kinds"] as? [[String: Any]])
    #expect(
      Set(["convolution", "linear", "update", "communication", "other"])
        .isSubset(of: Set(kinds.compactMap { $0["kind"] as? String })))
    let share = kinds.reduce(0) { $0 + ($1["share"] as? Double ?? .nan) }
    #expect(abs(share - 1) < 1e-9)

    let table = try Program.run(arguments)
    #expect(table.exitCode == 0, "\(table.stderr)")
    #expect(table.stdout.contains("GFLOP/s of multiply-adds"))
    #expect(table.stdout.split(separator: "\n").contains { $0.hasPrefix("features.0 ") })
  }
}
