import Foundation
import TestSupport
import Testing

@Suite("Commands", .serialized) struct CommandTests {
  @Test("threads change nothing, instruction sets only the last bits")
  func threadsAndInstructionSets() throws {
    try Program.withFolder { folder in
      let runs: [(name: String, threads: String, isa: String)] = [
        ("one", "1", ""), ("two", "2", ""), ("avx2", "1", "avx2"), ("portable", "1", "portable"),
      ]
      // The scaled filter loss magnifies last bits at this learning rate (docs/adr/0013-scaled-filter-loss.md).
      for run in runs {
        let arguments =
          Program.training(folder + "/" + run.name, "--steps", "4", "--filter-loss", "literal")
          + ["--threads", run.threads]
        let outcome = try Program.run(arguments, environment: run.isa.isEmpty ? [:] : ["ICNN_ISA": run.isa])
        try #require(outcome.exitCode == 0, "\(outcome.stderr)")
      }
      #expect(try Program.newest(folder + "/one") == Program.newest(folder + "/two"))
      let expected = try Program.losses(folder + "/one")
      for name in ["avx2", "portable"] {
        for (a, b) in zip(expected, try Program.losses(folder + "/" + name)) {
          #expect(abs(a - b) < 1e-2 * abs(a))
        }
        #expect(abs(try Program.losses(folder + "/" + name)[0] - expected[0]) < 1e-4 * expected[0])
      }
    }
  }

  @Test("a trained network is described, evaluated and used")
  func use() throws {
    try Program.withFolder { folder in
      let run = folder + "/run"
      #expect(try Program.run(Program.training(run, "--steps", "5")).exitCode == 0)
      let info = try Program.run(["info", run])
      #expect(info.exitCode == 0 && info.stdout.contains("interpretable.mask1"))
      #expect(info.stdout.contains("checksums     right: model.safetensors, optimizer"))
      try describe(run)

      let evaluation = try Program.run(["evaluate", "--checkpoint", run, "--data", Program.data, "--json"])
      let result = try #require(
        try JSONSerialization.jsonObject(with: Data(evaluation.stdout.utf8)) as? [String: Any])
      let logged = try Program.metrics(run, "accuracy", of: "validation").last as? Double
      #expect(abs((result["accuracy"] as? Double ?? -1) - (logged ?? -2)) < 1e-6)
      let confusion = try #require(result["confusion"] as? [[Int]])
      #expect(confusion.flatMap { $0 }.reduce(0, +) == result["images"] as? Int)
      let table = try Program.run(["evaluate", "--checkpoint", run, "--data", Program.data])
      #expect(table.exitCode == 0 && table.stdout.contains("images 8, accuracy "))
      // Under the head a line per class: its name, how often it was taken for which, how often rightly.
      let lines = table.stdout.split(separator: "\n").drop { !$0.hasPrefix("true ") }.dropFirst()
        .prefix(confusion.count)
      try #require(lines.count == confusion.count)
      for (index, line) in lines.enumerated() {
        let words = line.split(separator: " ").dropFirst()
        #expect(words.dropLast().map { Int($0) } == confusion[index].map { $0 })
        let own = Double(confusion[index][index]) / Double(confusion[index].reduce(0, +))
        #expect(abs((words.last.flatMap { Double($0) } ?? -1) - own) < 1e-3)
      }

      let classes = try FileManager.default.contentsOfDirectory(atPath: Program.data + "/images").sorted()
      let folderOfClass = Program.data + "/images/" + classes[0]
      let image =
        folderOfClass + "/" + (try FileManager.default.contentsOfDirectory(atPath: folderOfClass))[0]
      let prediction = try Program.run(["predict", "--checkpoint", run, image, "--json"])
      let object = try #require(
        try JSONSerialization.jsonObject(with: Data(prediction.stdout.utf8)) as? [String: Any])
      let probabilities = try #require(object["probabilities"] as? [[String: Any]])
      #expect(probabilities.compactMap { $0["class"] as? String } == classes)
      #expect(abs(probabilities.compactMap { $0["probability"] as? Double }.reduce(0, +) - 1) < 1e-6)
      let words = try Program.run(["predict", "--checkpoint", run, image])
      #expect(
        words.exitCode == 0 && words.stdout.hasPrefix("\(image): \(object["class"] as? String ?? "?") 0."))
    }
  }

  /// What `icnn info --json` says of a run of five steps.
  private func describe(_ run: String) throws {
    let state = try #require(
      try JSONSerialization.jsonObject(
        with: Data(try Program.run(["info", run, "--json"]).stdout.utf8)) as? [String: Any])
    #expect(state["step"] as? Int == 5)
    let history = try #require(state["history"] as? [String: Any])
    #expect((history["starts"] as? [[String: Any]])?.map { $0["ranks"] as? Int } == [1])
    #expect(history["seconds"] as? Double ?? 0 > 0)
    #expect((state["checksums"] as? [String: String])?.count == 3)
    let network = try #require(state["network"] as? [String: Any])
    let layers = try #require(network["layers"] as? [[String: Any]])
    let counts = layers.compactMap { $0["parameters"] as? Int }
    #expect(counts.reduce(0, +) == network["parameters"] as? Int)
    let filters = try #require(state["filters"] as? [[String: Any]])
    #expect(filters.map { $0["layer"] as? String } == ["interpretable.mask0", "interpretable.mask1"])
    for one in filters {
      let assigned = try #require(one["counts"] as? [String: Int]).values.reduce(0, +)
      let all = try #require(one["categories"] as? [Any]).count
      #expect(all == 192 && assigned + (one["unassigned"] as? Int ?? -1) == all)
    }
  }

  @Test("a network is described without a checkpoint, and only one of both")
  func planned() throws {
    let alexNet = try Program.run(["info", "--network", "alexnet", "--ordinary"])
    #expect(alexNet.exitCode == 0 && alexNet.stdout.contains("61,100,840"), "\(alexNet.stderr)")
    let small = try Program.run(
      ["info", "--network", "compact", "--image-size", "32", "--outputs", "7", "--json"])
    let json = try #require(
      try JSONSerialization.jsonObject(with: Data(small.stdout.utf8)) as? [String: Any])
    #expect(json["outputs"] as? Int == 7 && json["input"] as? [Int] == [3, 32, 32])
    #expect(try Program.run(["info"]).exitCode == 64)
    #expect(try Program.run(["info", "somewhere", "--network", "compact"]).exitCode == 64)
    #expect(try Program.run(["info", "--network", "compact", "--outputs", "0"]).exitCode == 64)
    let tiny = try Program.run(["info", "--network", "vgg16", "--image-size", "8"])
    #expect(tiny.exitCode == 78 && tiny.stderr.contains("at least 32"), "\(tiny.stderr)")
  }

  @Test("the keys of all JSON are in snake_case")
  func keys() throws {
    try Program.withFolder { folder in
      let run = folder + "/run"
      #expect(try Program.run(Program.training(run, "--steps", "1")).exitCode == 0)
      for arguments in [
        ["info", run], ["weights", "show", run], ["doctor"],
        ["evaluate", "--checkpoint", run, "--data", Program.data],
        [
          "bench", "--network", "compact", "--batch-size", "2", "--steps", "1", "--image-size", "16",
          "--profile",
        ],
      ] {
        let outcome = try Program.run(arguments + ["--json"])
        try #require(outcome.exitCode == 0, "\(outcome.stderr)")
        let strange = Self.keys(try JSONSerialization.jsonObject(with: Data(outcome.stdout.utf8)))
          .filter { $0.contains(where: \.isUppercase) }
        #expect(strange == [], "\(arguments[0])")
      }
    }
  }

  /// Of all objects inside; names of files, classes and options as they are.
  private static func keys(_ value: Any) -> Set<String> {
    switch value {
    case let object as [String: Any]:
      object.reduce(into: Set<String>()) { all, entry in
        all.insert(entry.key)
        guard !["checksums", "configuration"].contains(entry.key) else { return }
        all.formUnion(keys(entry.value))
      }
    case let list as [Any]: list.reduce(into: Set<String>()) { $0.formUnion(keys($1)) }
    default: []
    }
  }

  @Test("the doctor knows the machine")
  func doctor() throws {
    let text = try Program.run(["doctor"])
    #expect(text.exitCode == 0 && text.stdout.contains("OpenBLAS core"))
    let json = try JSONSerialization.jsonObject(
      with: Data(try Program.run(["doctor", "--json"]).stdout.utf8))
    #expect((json as? [String: Any])?["facts"] != nil)
  }

  @Test("the debug mode describes every layer and checks gradients")
  func debug() throws {
    try Program.withFolder { folder in
      let run = try Program.run(
        Program.training(folder + "/run", "--steps", "2", "--debug", "--check-gradients", "--dropout", "0"))
      #expect(run.stderr.contains("features.0.weight: analytic"))
      #expect(run.exitCode == 0, "\(run.stderr)")
      #expect(run.stderr.contains("interpretable.mask0"))
    }
  }

  @Test("synthesizing twice gives the same bytes, and never over something")
  func synthesize() throws {
    try Program.withFolder { folder in
      let arguments = ["--categories", "2", "--images-per-category", "5", "--image-size", "16"]
      for name in ["a", "b"] {
        #expect(
          try Program.run(["data", "synthesize", "--output", folder + "/" + name] + arguments).exitCode == 0)
      }
      let files = try #require(FileManager.default.subpaths(atPath: folder + "/a"))
      #expect(files.filter { $0.hasSuffix(".png") }.count > 10)
      for file in files {
        #expect(
          FileManager.default.contentsEqual(atPath: folder + "/a/" + file, andPath: folder + "/b/" + file))
      }
      #expect(try Program.run(["data", "synthesize", "--output", folder + "/a"] + arguments).exitCode == 64)
    }
  }

  @Test("the demo tells the whole story")
  func demo() throws {
    try Program.withFolder { folder in
      let run = try Program.run([
        "demo", "--output", folder + "/demo", "--epochs", "1", "--images-per-category", "5", "--image-size",
        "16",
      ])
      #expect(run.exitCode == 0, "\(run.stderr)")
      #expect(
        run.stdout.contains("ordinary, one process") && run.stdout.contains("interpretable, mpirun -np 2"))
    }
  }

  @Test(
    "every command explains itself",
    arguments: ["train", "evaluate", "predict", "info", "doctor", "bench", "data", "demo", "launch"])
  func help(command: String) throws {
    let run = try Program.run([command, "--help"])
    #expect(run.exitCode == 0 && run.stdout.contains("OVERVIEW"))
  }
}
