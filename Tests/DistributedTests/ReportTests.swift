import Foundation
import TestSupport
import Testing

@Suite("Reports and explanations", .serialized) struct ReportTests {
  /// Trained runs, made once.
  private struct Runs {
    let interpretable: String
    let ordinary: String

    static let shared: Runs = {
      let folder = NSTemporaryDirectory() + "icnn-report-tests-\(ProcessInfo.processInfo.processIdentifier)"
      let runs = Runs(interpretable: folder + "/interpretable", ordinary: folder + "/ordinary")
      for (run, more) in [(runs.interpretable, []), (runs.ordinary, ["--ordinary"])] {
        let arguments = Program.training(run, "--steps", "6", "--image-size", "32") + more
        let outcome = try! Program.run(arguments)
        precondition(outcome.exitCode == 0, outcome.stderr)
      }
      return runs
    }()
  }

  private func images(_ count: Int) throws -> [String] {
    let root = Program.data + "/images"
    let classes = try FileManager.default.contentsOfDirectory(atPath: root).sorted()
    return try classes.prefix(count).map { name in
      root + "/" + name + "/"
        + (try FileManager.default.contentsOfDirectory(atPath: root + "/" + name).sorted()[0])
    }
  }

  private func object(_ line: some StringProtocol) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
  }

  // MARK: predict

  @Test("the filters that predict names sum to the logit it prints", arguments: [true, false])
  func explanation(interpretable: Bool) throws {
    let run = interpretable ? Runs.shared.interpretable : Runs.shared.ordinary
    let outcome = try Program.run(["predict", "--checkpoint", run, "--json"] + images(3))
    #expect(outcome.exitCode == 0, "\(outcome.stderr)")
    let lines = outcome.stdout.split(separator: "\n")
    #expect(lines.count == 3)
    for line in lines {
      let prediction = try object(line)
      let explanation = try #require(prediction["explanation"] as? [String: Any])
      #expect(explanation["class"] as? String == prediction["class"] as? String)
      let logits = try #require(prediction["probabilities"] as? [[String: Any]])
      let own = logits.first { $0["class"] as? String == prediction["class"] as? String }
      let logit = try #require(explanation["logit"] as? Double)
      #expect(abs((own?["logit"] as? Double ?? .nan) - logit) < 1e-5)
      let filters = try #require(explanation["filters"] as? [[String: Any]])
      let rest = try #require(explanation["rest"] as? Double)
      let sum = filters.reduce(rest) { $0 + ($1["contribution"] as? Double ?? .nan) }
      #expect(abs(sum - logit) < 1e-4 * max(1, abs(logit)))
      #expect(!filters.isEmpty)
      #expect(filters.contains { $0["category"] != nil } == interpretable)
    }
  }

  @Test("explanations are drawn, one picture an image, also of images of one name")
  func pictures() throws {
    try Program.withFolder { folder in
      let image = try images(1)[0]
      let outcome = try Program.run(
        ["predict", "--checkpoint", Runs.shared.interpretable, "--picture", folder + "/p", image, image])
      #expect(outcome.exitCode == 0, "\(outcome.stderr)")
      #expect(outcome.stdout.contains("% of the evidence") && outcome.stdout.contains(" + rest "))
      let files = try FileManager.default.contentsOfDirectory(atPath: folder + "/p").sorted()
      let name = URL(fileURLWithPath: image).deletingPathExtension().lastPathComponent
      #expect(files == ["\(name)-2.png", "\(name).png"].sorted())
      for file in files {
        let bytes = try Data(contentsOf: URL(fileURLWithPath: folder + "/p/" + file))
        #expect(bytes.starts(with: [0x89, 0x50, 0x4e, 0x47]) && bytes.count > 1000)
      }
    }
  }

  @Test("what cannot be explained is said")
  func unknownClass() throws {
    let base = ["predict", "--checkpoint", Runs.shared.interpretable] + (try images(1))
    let unknown = try Program.run(base + ["--class", "unicorn"])
    #expect(
      unknown.exitCode == 64
        && unknown.stderr.contains("unknown class – --class unicorn – the checkpoint knows"))
    let contradiction = try Program.run(base + ["--filters", "0", "--class", "unicorn"])
    #expect(contradiction.exitCode == 64)
    let none = try Program.run(base + ["--filters", "0"])
    #expect(none.exitCode == 0 && !none.stdout.contains("evidence"))
  }

  // MARK: report

  /// What must hold for any page.
  private func check(_ page: String) {
    #expect(page.hasPrefix("<!DOCTYPE html>") || page.hasPrefix("<!doctype html>"))
    #expect(!page.lowercased().contains(">nan<") && !page.contains("Infinity"))
    #expect(page.ranges(of: "src=\"http").isEmpty && page.ranges(of: "href=\"http").isEmpty)
  }

  @Test("two networks side by side, with pictures of every filter that fires")
  func report() throws {
    try Program.withFolder { folder in
      let file = folder + "/report.html"
      let outcome = try Program.run([
        "report", "--checkpoint", Runs.shared.interpretable, "--compare", Runs.shared.ordinary, "--data",
        Program.data,
        "--output", file, "--pictures", folder + "/pictures",
      ])
      #expect(outcome.exitCode == 0, "\(outcome.stderr)")
      for network in ["interpretable", "ordinary"] {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder + "/pictures/" + network)
        #expect(names.count > 100 && names.allSatisfy { $0.hasSuffix(".png") })
        #expect(names.contains { $0.hasSuffix("-mask.png") } == (network == "interpretable"))
      }
      let page = try String(contentsOfFile: file, encoding: .utf8)
      check(page)
      for text in [
        "Location instability", "Part interpretability", "interpretable", "ordinary", "learning-rate",
      ] {
        #expect(page.contains(text), "\(text)")
      }
      #expect(page.ranges(of: "data:image/").count > 100)
      let evaluation = try object(
        try Program.run([
          "evaluate", "--checkpoint", Runs.shared.interpretable, "--data", Program.data, "--json",
        ])
        .stdout)
      let instability = try #require(evaluation["location_instability"] as? Double)
      #expect(page.contains(String(format: "%.3f", instability)))
    }
  }

  @Test("without annotations the report names what is left out")
  func withoutAnnotations() throws {
    try Program.withFolder { folder in
      try FileManager.default.copyItem(atPath: Program.data + "/images", toPath: folder + "/images")
      let file = folder + "/report.html"
      let outcome = try Program.run([
        "report", "--checkpoint", Runs.shared.interpretable, "--data", folder, "--output", file,
      ])
      #expect(outcome.exitCode == 0, "\(outcome.stderr)")
      let page = try String(contentsOfFile: file, encoding: .utf8)
      check(page)
      #expect(page.contains("location instability is left out"))
      #expect(page.contains("data:image/"))
    }
  }

  @Test("maps of one cell make a report too")
  func smallestMaps() throws {
    try Program.withFolder { folder in
      let run = folder + "/run"
      let trained = try Program.run(Program.training(run, "--steps", "2", "--image-size", "16"))
      #expect(trained.exitCode == 0, "\(trained.stderr)")
      let file = folder + "/report.html"
      let outcome = try Program.run([
        "report", "--checkpoint", run, "--data", Program.data, "--output", file, "--layer", "interpretable.0",
      ])
      #expect(outcome.exitCode == 0, "\(outcome.stderr)")
      check(try String(contentsOfFile: file, encoding: .utf8))
    }
  }

  @Test("bad input: a missing folder, a layer that is none, contradictory options")
  func badInput() throws {
    try Program.withFolder { folder in
      let base = ["report", "--checkpoint", Runs.shared.interpretable, "--data", Program.data]
      let missing = try Program.run(base + ["--output", folder + "/nowhere/report.html"])
      #expect(missing.exitCode == 74 && missing.stderr.contains("the folder of the report is missing"))
      let layer = try Program.run(base + ["--output", folder + "/a.html", "--layer", "features.99"])
      #expect(layer.exitCode == 64 && layer.stderr.contains("features.99"))
      let contradiction = try Program.run(base + ["--output", folder + "/a.html", "--accuracy-only"])
      #expect(contradiction.exitCode == 64)
      #expect(!FileManager.default.fileExists(atPath: folder + "/a.html"))
    }
  }
}
