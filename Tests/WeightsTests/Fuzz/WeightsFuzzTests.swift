import Foundation
import Networks
import Tensors
import Testing
import Training

@testable import Weights

/// Damaged files end in typed errors or are read: no crash, no memory beyond a multiple of the file.
///
/// `ICNN_FUZZ_INPUTS=100000 swift test --filter Fuzz` for a long run.
@Suite("Fuzz", .serialized) struct WeightsFuzzTests {
  /// How many inputs were read, and how many refused.
  private struct Tally {
    var read = 0
    var refused = 0
  }

  /// Opens `count` mutants of the seeds and reads all that is in them.
  private func fuzz(_ seeds: [[UInt8]], seed: UInt64, count: Int) throws -> Tally {
    var tally = Tally()
    var mutator = Mutator(seed: seed)
    try Samples.withFolder { folder in
      let path = folder + "/input"
      for _ in 0..<count {
        let input = mutator.mutated(mutator.pick(seeds))
        try Data(input).write(to: URL(fileURLWithPath: path))
        do throws(WeightsError) {
          let file = try WeightsFile(path: path)
          for tensor in file.tensors {
            #expect(tensor.count * tensor.type.byteCount <= input.count)
            _ = try tensor.doubles()
            #expect(try tensor.contiguousBytes().count == tensor.count * tensor.type.byteCount)
          }
          _ = WeightsSummary(file).text
          tally.read += 1
        } catch {
          tally.refused += 1
          #expect([65, 66, 74].contains(error.exitCode))
          #expect(error.description.count < 2000)
        }
      }
    }
    return tally
  }

  private static let torch = TorchFileWriter(
    tensors: [
      .init(name: "features.0.weight", key: "0", shape: [2, 3, 2, 2], strides: [12, 4, 2, 1]),
      .init(name: "features.0.bias", key: "1", shape: [2], strides: [1], isParameter: true),
      .init(name: "t", key: "0", shape: [3, 8], strides: [1, 3]),
      .init(name: "n", key: "2", shape: [], strides: [], view: [0, 1]),
    ],
    storages: [
      "0": .init((0..<24).map { Float($0) }), "1": .init([1, 2]),
      "2": .init(type: "LongStorage", count: 1, bytes: PickleWriter.littleEndian(Int64(7))),
    ])

  @Test("archives of PyTorch")
  func archives() throws {
    var nested = Self.torch
    nested.wrapper = "state_dict"
    nested.prefix = "module."
    let tally = try fuzz([Self.torch.archive, nested.archive], seed: 11, count: Mutator.inputCount(4000))
    #expect(tally.read > 0 && tally.refused > 0)
  }

  @Test("pickles in archives whose checksums are right")
  func pickles() throws {
    // The archive around the damage is whole, so that the interpreter sees it.
    let count = Mutator.inputCount(4000)
    var mutator = Mutator(seed: 12)
    let seeds = (0..<count).map { _ in
      var entries = Self.torch.entries
      entries[0].bytes = mutator.mutated(entries[0].bytes)
      return TorchFileWriter.archive(entries)
    }
    var tally = Tally()
    try Samples.withFolder { folder in
      for seed in seeds {
        try Data(seed).write(to: URL(fileURLWithPath: folder + "/input"))
        do throws(WeightsError) {
          let file = try WeightsFile(path: folder + "/input")
          for tensor in file.tensors { _ = try tensor.floats() }
          tally.read += 1
        } catch {
          tally.refused += 1
        }
      }
    }
    #expect(tally.read > 0 && tally.refused > count / 4, "\(tally)")
  }

  @Test("old files of PyTorch")
  func legacy() throws {
    let tally = try fuzz([Self.torch.legacy], seed: 13, count: Mutator.inputCount(4000))
    #expect(tally.read > 0 && tally.refused > 0)
  }

  @Test("safetensors")
  func safeTensors() throws {
    let seeds = try Samples.withFolder { folder in
      var seeds: [[UInt8]] = []
      for metadata in [
        [:], ["format": "pt", "preprocessing": "{\"imageSize\":8,\"mean\":\"none\",\"scale\":[1,1,1]}"],
      ] {
        try SafeTensors.write(
          [
            SafeTensors.Entry("features.0.weight", .float32, shape: [2, 3, 3, 3]) { _ in },
            SafeTensors.Entry("b", .float64, shape: [2]) { _ in },
            SafeTensors.Entry("n", .int64, shape: []) { _ in },
            SafeTensors.Entry("h", .bfloat16, shape: [2, 0]) { _ in },
          ], metadata: metadata, to: folder + "/a")
        seeds.append([UInt8](try Data(contentsOf: URL(fileURLWithPath: folder + "/a"))))
      }
      return seeds
    }
    let tally = try fuzz(seeds, seed: 14, count: Mutator.inputCount(4000))
    #expect(tally.read > 0 && tally.refused > 0)
  }

  @Test("checkpoints, their checksums right or wrong")
  func checkpoints() throws {
    let count = Mutator.inputCount(500)
    var mutator = Mutator(seed: 15)
    var tally = Tally()
    try Samples.withFolder { folder in
      // Narrow: the numbers of a model are not what is read with care.
      let convolutions = [0, 4, 7, 11, 14, 18].map { ("features.\($0)", 4) }
      let example = ExportCase(
        network: "compact", imageSize: 16, interpretable: true, meanKind: .channel,
        widths: Dictionary(uniqueKeysWithValues: convolutions))
      _ = try example.write(run: folder)
      let directory = try Checkpoint.open(folder).directory
      let names = ["state.json", "model.safetensors", "optimizer.safetensors", "CHECKSUMS"]
      let whole = try names.map { [UInt8](try Data(contentsOf: URL(fileURLWithPath: directory + "/" + $0))) }
      for round in 0..<count {
        // Most of a model is numbers; what is read with care is its header and the state.
        let file = mutator.pick([0, 0, 0, 1, 2, 3])
        var bytes = whole[file]
        if file == 1 || file == 2 {
          let header = 8 + bytes[0..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
          bytes = mutator.mutated(Array(bytes[..<header])) + bytes[header...]
        } else {
          bytes = mutator.mutated(bytes)
        }
        try Data(bytes).write(to: URL(fileURLWithPath: directory + "/" + names[file]))
        if file < 3 && round % 8 != 0 { try Self.writeChecksums(directory, names.dropLast().sorted()) }
        do {
          let trained = try TrainedNetwork(directory)
          _ = try WeightsFile.open(directory)
          _ = Predictor(trained)
          tally.read += 1
        } catch let error as CheckpointError {
          tally.refused += 1
          #expect([65, 66, 74].contains(error.exitCode))
        } catch let error as WeightsError {
          tally.refused += 1
          #expect([65, 66, 74].contains(error.exitCode))
        }
        try Data(whole[file]).write(to: URL(fileURLWithPath: directory + "/" + names[file]))
        try Data(whole[3]).write(to: URL(fileURLWithPath: directory + "/CHECKSUMS"))
      }
    }
    #expect(tally.read > 0 && tally.refused > count / 4)
  }

  private static func writeChecksums(_ directory: String, _ names: [String]) throws {
    let lines = try names.map { "\(try ChecksummedFile.checksum(of: directory + "/" + $0))  \($0)\n" }
    try Data(lines.joined().utf8).write(to: URL(fileURLWithPath: directory + "/CHECKSUMS"))
  }

  @Test(
    "the process stays small",
    .enabled(if: ProcessInfo.processInfo.environment["ICNN_FUZZ_INPUTS"] != nil, "needs ICNN_FUZZ_INPUTS"))
  func memory() throws {
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
    let kibibytes = try #require(Int(line.split(separator: " ").dropLast().last ?? ""))
    #expect(kibibytes < 1 << 20)
  }
}
