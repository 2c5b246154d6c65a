import Datasets
import Foundation
import Networks
import Testing
import Weights

@testable import Training

/// TensorBoard itself reads what was written.
@Suite(
  "TensorBoard",
  .enabled(if: TensorBoardReader.python != nil, "needs the tensorboard package: make tensorboard-environment")
)
struct TensorBoardWriterTests {
  private func writer(_ folder: String, firstStep: Int = 1, time: Double = 1_700_000_000) -> TensorBoardWriter
  {
    TensorBoardWriter(folder: folder, firstStep: firstStep, clock: { time }) { Issue.record("\($0)") }
  }

  @Test("scalars, histograms and images come back with their exact values")
  func roundTrip() throws {
    try SmallRun.withFolder { folder in
      var montage = Montage(columns: 1, rows: 1, side: 4)
      montage.draw(column: 0, row: 0, extent: 2) { x, y, channel in x == y && channel == 0 ? 1 : 0 }
      let values: [Float] = [-1, 0, 0.5, 1, 1.5, 3, 3]
      let histogram = try #require(values.withUnsafeBufferPointer { Histogram($0, bucketCount: 4) })
      do {
        let writer = writer(folder)
        writer.scalars([("loss", 0.1), ("accuracy", 0.75), ("undefined", .nan)], step: 3)
        writer.scalars([("loss", -2.5)], step: 4)
        writer.histogram("weights", histogram, step: 4)
        writer.image("picture", montage, step: 4)
      }
      let found = try TensorBoardReader(folder: folder)
      #expect(found.scalars == ["loss": [[3, Double(Float(0.1))], [4, -2.5]], "accuracy": [[3, 0.75]]])
      let read = try #require(found.histograms["weights"]?.first)
      #expect(read.step == 4 && read.min == -1 && read.max == 3 && read.num == 7 && read.sum == 8)
      #expect(read.sumSquares == 22.5 && read.limits == [0, 1, 2, 3] && read.counts == [1, 2, 2, 2])
      let image = try #require(found.images["picture"]?.first)
      #expect(image.step == 4 && image.width == 6 && image.height == 6)
      let decoded = try ImageDecoder().decode([UInt8](image.png))
      #expect(decoded.width == 6 && decoded.height == 6)
      let pixel = { (x: Int, y: Int) in Array(decoded.pixels[(y * 6 + x) * 3..<(y * 6 + x) * 3 + 3]) }
      #expect(pixel(0, 0) == [128, 128, 128] && pixel(1, 1) == [255, 0, 0] && pixel(3, 1) == [0, 0, 0])
      #expect(found.plugins["scalars"] == ["accuracy", "loss"])
      #expect(found.plugins["histograms"] == ["weights"] && found.plugins["images"] == ["picture"])
    }
  }

  @Test("a resumed run's file hides what was logged from its first step on, and nothing else")
  func resume() throws {
    try SmallRun.withFolder { folder in
      do {
        let before = writer(folder)
        for step in 1...5 { before.scalars([("loss", Double(step))], step: step) }
      }
      do {
        let after = writer(folder, firstStep: 4)
        for step in 4...6 { after.scalars([("loss", Double(-step))], step: step) }
      }
      let found = try TensorBoardReader(folder: folder)
      #expect(found.scalars["loss"] == [[1, 1], [2, 2], [3, 3], [4, -4], [5, -5], [6, -6]])
    }
  }

  @Test(
    "a run, stopped and resumed, leaves what metrics.jsonl says, parameters and pictures", arguments: [1, 2])
  func run(ranks: Int) throws {
    try SmallRun.withFolder { folder in
      _ = try SmallRun.train(SmallRun.configuration(steps: 12), ranks: ranks, output: folder)
      _ = try SmallRun.train(SmallRun.configuration(steps: 21), ranks: ranks, output: folder, resume: true)
      let found = try TensorBoardReader(folder: folder)
      let files = try FileManager.default.contentsOfDirectory(atPath: folder)
      #expect(files.filter { $0.hasPrefix("events.out.tfevents.") }.count == 2)

      let steps = try events("step", folder)
      for (tag, field) in [
        ("training/loss", "loss"), ("training/task_loss", "task_loss"),
        ("training/filter_loss", "filter_loss"),
        ("training/accuracy", "accuracy"), ("training/learning_rate", "learning_rate"),
        ("speed/images_per_second", "images_per_second"),
      ] {
        let expected = steps.filter { [1, 10, 12, 20, 21].contains($0["step"]) }.map {
          [$0["step"]!, $0[field]!]
        }
        #expect(equal(found.scalars[tag], expected), "\(tag)")
      }
      let validations = try events("validation", folder)
      #expect(!validations.isEmpty)
      for (tag, field) in [("validation/loss", "loss"), ("validation/accuracy", "accuracy")] {
        #expect(equal(found.scalars[tag], validations.map { [$0["step"]!, $0[field]!] }), "\(tag)")
      }
      for layer in Set(found.scalars.keys.filter { $0.hasPrefix("filters/") && $0.hasSuffix("/lambda") }) {
        #expect(found.scalars[layer]?.count == 5)
      }
      try parameters(found, folder)
      try pictures(found, validations.count)
    }
  }

  /// The last histograms are those of the last checkpoint's values.
  private func parameters(_ found: TensorBoardReader, _ folder: String) throws {
    let reader = try SafeTensors.Reader(path: try Checkpoint.open(folder).directory + "/model.safetensors")
    let names = reader.tensors.keys.filter { found.histograms["parameters/\($0)"] != nil }
    #expect(names.count > 4 && names.count == found.histograms.count)
    for name in names {
      let values = try reader.floats(name)
      let last = try #require(found.histograms["parameters/\(name)"]?.last)
      #expect(last.step == 21 && last.num == Double(values.count))
      #expect(last.min == Double(values.min()!) && last.max == Double(values.max()!))
      #expect(last.counts.reduce(0, +) == last.num)
      #expect(abs(last.sum - values.reduce(0.0) { $0 + Double($1) }) <= 1e-9 * Double(values.count))
    }
  }

  private func pictures(_ found: TensorBoardReader, _ validations: Int) throws {
    let filters = try #require(found.images["filters/first_layer"])
    #expect(filters.count == validations)
    let maps = try #require(found.images.first { $0.key.hasPrefix("maps/") }?.value)
    #expect(maps.count == validations)
    for image in filters + maps {
      let decoded = try ImageDecoder().decode([UInt8](image.png))
      #expect(decoded.width == image.width && decoded.height == image.height)
      #expect(Set(decoded.pixels).count > 2, "nothing is drawn")
    }
  }

  /// Lines of metrics.jsonl of one kind, their numbers by name.
  private func events(_ event: String, _ folder: String) throws -> [[String: Double]] {
    let text = try String(contentsOfFile: folder + "/metrics.jsonl", encoding: .utf8)
    return try text.split(separator: "\n").compactMap { line -> [String: Double]? in
      let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      return object["event"] as? String == event ? object.compactMapValues { $0 as? Double } : nil
    }
  }

  /// Equal as far as a Float and seven printed digits are.
  private func equal(_ a: [[Double]]?, _ b: [[Double]]) -> Bool {
    guard let a, a.count == b.count, !b.isEmpty else { return false }
    return zip(a, b).allSatisfy { $0[0] == $1[0] && abs($0[1] - $1[1]) <= 1e-6 * abs($1[1]) }
  }
}
