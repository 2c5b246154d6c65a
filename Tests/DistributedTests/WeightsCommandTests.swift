import Foundation
import TestSupport
import Testing

@Suite("Weights on the command line", .serialized) struct WeightsCommandTests {
  @Test("a run is converted, shown, and begins another training under mpirun")
  func chain() throws {
    try Program.withFolder { folder in
      let (run, file) = (folder + "/run", folder + "/out.safetensors")
      #expect(try Program.run(Program.training(run, "--steps", "2")).exitCode == 0)
      let converted = try Program.run(["weights", "convert", run, file])
      #expect(converted.exitCode == 0, "\(converted.stderr)")
      #expect(converted.stdout.contains("compact"))
      let model = folder + "/out.onnx"
      let exported = try Program.run(["weights", "convert", run, model])
      #expect(exported.exitCode == 0 && exported.stdout.hasSuffix("in \(model)\n"), "\(exported.stderr)")
      #expect(
        try Data(contentsOf: URL(fileURLWithPath: model)).range(of: Data("data_fingerprint".utf8)) != nil)
      let shown = try Program.run(["weights", "show", file, "--json"])
      let json = try #require(
        try JSONSerialization.jsonObject(with: Data(shown.stdout.utf8)) as? [String: Any])
      #expect(json["architectures"] as? [String] == ["compact"])
      #expect((json["preprocessing"] as? [String: Any])?["image_size"] as? Int == 16)
      #expect(try Program.run(["weights", "show", run]).stdout.contains("network       compact"))
      let next = try Program.run(
        ranks: 2, Program.training(folder + "/next", "--steps", "1", "--initial-weights", file))
      #expect(next.exitCode == 0, "\(next.stderr)")
      #expect(
        (next.stdout + next.stderr).contains("images become inputs as they did for the initial weights"))
    }
  }

  @Test("what is missing, no weights, or not to be written ends with its code and words")
  func refused() throws {
    try Program.withFolder { folder in
      let missing = try Program.run(["weights", "show", folder + "/none.pth"])
      #expect(missing.exitCode == 66 && missing.stderr.hasPrefix("error: there are no weights"))
      try Data("no weights at all".utf8).write(to: URL(fileURLWithPath: folder + "/text"))
      let text = try Program.run(["weights", "convert", folder + "/text", folder + "/out.safetensors"])
      #expect(text.exitCode == 65 && text.stderr.contains("neither safetensors nor"))
      let format = try Program.run(["weights", "convert", folder + "/text", folder + "/out.pth"])
      #expect(format.exitCode == 64 && format.stderr.contains("only safetensors and ONNX are written"))
    }
  }
}
