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

  /// Two ranks that are each a host of their own: other working folders, in which the same paths lead to other files.
  private static func runHosts(_ folder: String, _ arguments: [String]) throws -> ProcessRun.Outcome {
    let script = folder + "/rank.sh"
    try """
    #!/bin/sh
    cd "\(folder)/host-$OMPI_COMM_WORLD_RANK" && exec "$@"
    """.write(toFile: script, atomically: true, encoding: .utf8)
    return try MPIRun.run(
      np: 2, executable: URL(fileURLWithPath: "/bin/sh"),
      arguments: [script, Program.executable.path] + arguments, timeoutSeconds: 60)
  }

  /// A folder for each host, with a copy of the data set.
  private static func makeHosts(_ folder: String) throws {
    for host in ["host-0", "host-1"] {
      try FileManager.default.createDirectory(atPath: folder + "/" + host, withIntermediateDirectories: true)
      try FileManager.default.copyItem(atPath: Program.data, toPath: folder + "/" + host + "/data")
    }
  }

  private static func images(_ data: String) throws -> [String] {
    let names = FileManager.default.enumerator(atPath: data + "/images")
    return (names?.compactMap { $0 as? String } ?? []).filter { $0.hasSuffix(".png") }.sorted().map {
      data + "/images/" + $0
    }
  }

  @Test("a host with other data is named, with the file, when it reads it: at the start or in a step")
  func differentData() throws {
    try Program.withFolder { folder in
      try Self.makeHosts(folder)
      let arguments = { (run: String) in
        [
          "train", "--data", "data", "--output", folder + "/" + run, "--image-size", "16", "--steps", "6",
          "--batch-size",
          "7", "--threads", "1",
        ]
      }
      let good = try Self.runHosts(folder, arguments("good"))
      #expect(good.exitCode == 0, "\(good.stderr)")
      // The index says that all images have been decoded: only a step can notice.
      let images = try Self.images(folder + "/host-1/data")
      try #require(images.count == 40)
      let seenAtStart = Set((0..<16).map { $0 * 40 / 16 })
      for (index, image) in images.enumerated() where !seenAtStart.contains(index) {
        try (Data(contentsOf: URL(fileURLWithPath: image)) + [0]).write(to: URL(fileURLWithPath: image))
      }
      let step = try Self.runHosts(folder, arguments("step"))
      #expect(step.exitCode == 65 && !step.timedOut, "\(step.stderr)")
      #expect(step.stderr.contains("rank 1: 1 file is not as listed"), "\(step.stderr)")
      #expect(step.stderr.contains(" on host \(ProcessInfo.processInfo.hostName): "), "\(step.stderr)")
      try FileManager.default.removeItem(atPath: images[0])
      let start = try Self.runHosts(folder, arguments("start"))
      #expect(start.exitCode == 65 && !start.timedOut, "\(start.stderr)")
      #expect(
        start.stderr.contains(images[0].components(separatedBy: "/data/")[1] + " on host "), "\(start.stderr)"
      )
      #expect(start.stderr.components(separatedBy: "error: ").count == 2, "\(start.stderr)")
      #expect(Program.checkpoints(folder + "/start").isEmpty)
    }
  }

  @Test("a run is resumed by ranks that do not see its folder, to the bits of an undisturbed one")
  func separateFolders() throws {
    try Program.withFolder { folder in
      try Self.makeHosts(folder)
      // As many steps for all: rates depend on the length of the run.
      let arguments = { (run: String) in
        Program.training(
          run, data: "data", "--steps", "6", "--checkpoint-every", "4", "--keep-checkpoints", "9")
      }
      let whole = try Self.runHosts(folder, arguments("whole"))
      #expect(whole.exitCode == 0, "\(whole.stderr)")
      let run = folder + "/host-0/run"
      try FileManager.default.copyItem(atPath: folder + "/host-0/whole", toPath: run)
      try FileManager.default.removeItem(atPath: run + "/checkpoints/step-00000006")
      let resumed = try Self.runHosts(folder, arguments("run") + ["--resume", "--require-checkpoint"])
      #expect(resumed.exitCode == 0, "\(resumed.stderr)")
      #expect(resumed.stderr.contains("resumed at step 4"), "\(resumed.stderr)")
      for file in ["model.safetensors", "optimizer.safetensors"] {
        #expect(try Program.newest(run, file) == Program.newest(folder + "/host-0/whole", file), "\(file)")
      }
      // Rank 1 has written nothing.
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/host-1") == ["data"])
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
