import Datasets
import Foundation
import Networks
import Testing

@testable import Training

@Suite("Checkpoint") struct CheckpointTests {
  private struct Fixture {
    let network: Network
    let optimizer: MomentumSGD
    var state: CheckpointState

    init(imageSize: Int = 16, outputs: Int = 3) {
      var options = NetworkOptions(
        outputs: outputs, imageSize: imageSize, interpretable: InterpretableOptions())
      options.widthDivisor = 16
      network = Architecture.compact.build(options)
      network.store.initialize(seed: 3)
      optimizer = MomentumSGD(network.store)
      for index in optimizer.velocities.indices { optimizer.velocities[index] = Float(index % 13) }
      for state in network.states { state.values.update(repeating: 0.1) }
      state = CheckpointState(
        programVersion: "test", configuration: TrainingConfiguration(), step: 5, epoch: 2, stepInEpoch: 1,
        classNames: ["a", "b", "c"], outputs: outputs, parameterCount: network.store.parameterCount,
        preprocessing: Preprocessing(
          imageSize: imageSize, meanKind: .channel, mean: [1, 2, 3], scale: [1, 1, 1]),
        dataFingerprint: "ab", validationAccuracy: 0.5)
    }

    @discardableResult
    func write(_ run: String, step: Int, keep: Int = 3) throws -> Checkpoint {
      var state = state
      state.step = step
      return try Checkpoint.write(
        state, of: network, velocities: UnsafeBufferPointer(optimizer.velocities), run: run, keep: keep)
    }
  }

  @Test("what is written is read, bit for bit")
  func roundTrip() throws {
    try SmallRun.withFolder { run in
      let fixture = Fixture()
      try fixture.write(run, step: 5)
      let checkpoint = try Checkpoint.open(run)
      #expect(checkpoint.state == fixture.state)
      let other = Fixture()
      other.network.store.initialize(seed: 4)
      other.optimizer.velocities.update(repeating: 0)
      for state in other.network.states { state.values.update(repeating: 7) }
      try checkpoint.restore(other.network, velocities: other.optimizer.velocities)
      for (a, b) in zip(fixture.network.store.parameters, other.network.store.parameters) {
        #expect(a.exportValues() == b.exportValues())
        let offset = a.offset
        for index in 0..<min(3, a.count) {
          #expect(fixture.optimizer.velocities[offset + index] == other.optimizer.velocities[offset + index])
        }
      }
      for (a, b) in zip(fixture.network.states, other.network.states) {
        #expect(Array(a.values) == Array(b.values))
      }
    }
  }

  @Test("a state of version 1 is of the literal form, one of version 2 not reproducible")
  func versionOne() throws {
    let encoded = try JSONEncoder().encode(Fixture().state)
    var object = try #require(JSONSerialization.jsonObject(with: encoded) as? [String: Any])
    #expect(CheckpointState.upgraded(object, from: 3) == nil)
    var configuration = try #require(object["configuration"] as? [String: Any])
    configuration["reproducible"] = nil
    configuration["shards"] = nil
    object["configuration"] = configuration
    let second = try #require(CheckpointState.upgraded(object, from: 2))
    #expect(
      try JSONDecoder().decode(CheckpointState.self, from: JSONSerialization.data(withJSONObject: second))
        .configuration == Fixture().state.configuration)
    for name in ["filter-loss", "score-scale", "filter-gradient-share", "filter-loss-warmup-epochs"] {
      configuration[name] = nil
    }
    object["configuration"] = configuration
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(
        CheckpointState.self, from: JSONSerialization.data(withJSONObject: object))
    }
    let upgraded = try #require(CheckpointState.upgraded(object, from: 1))
    let state = try JSONDecoder().decode(
      CheckpointState.self, from: JSONSerialization.data(withJSONObject: upgraded))
    var expected = Fixture().state.configuration
    expected.filterLoss = .literal
    #expect(state.configuration == expected)
    #expect(state.configuration.networkOptions(outputs: 3).interpretable?.gradientShare == nil)
  }

  @Test("two checkpoints of one state are the same bytes, and xxh128sum could check them")
  func repeatable() throws {
    try SmallRun.withFolder { run in
      let fixture = Fixture()
      let first = try fixture.write(run + "/a", step: 5).directory
      let second = try fixture.write(run + "/b", step: 5).directory
      for file in ["model.safetensors", "optimizer.safetensors", "state.json", "CHECKSUMS"] {
        #expect(
          FileManager.default.contentsEqual(atPath: first + "/" + file, andPath: second + "/" + file),
          "\(file)")
      }
      let line = try String(contentsOfFile: first + "/CHECKSUMS", encoding: .utf8).split(separator: "\n")[0]
      #expect(line.hasSuffix("  model.safetensors") && line.count == 32 + 2 + 17)
    }
  }

  @Test("the newest are kept")
  func keepsTheNewest() throws {
    try SmallRun.withFolder { run in
      let fixture = Fixture()
      for step in 1...5 { try fixture.write(run, step: step, keep: 2) }
      #expect(Checkpoint.names(in: run + "/checkpoints") == ["step-00000004", "step-00000005"])
    }
  }

  @Test(
    "a flipped bit or a lost end of any file is noticed, and the checkpoint before is used",
    arguments: ["model.safetensors", "optimizer.safetensors", "state.json", "CHECKSUMS"])
  func damage(file: String) throws {
    try SmallRun.withFolder { run in
      let fixture = Fixture()
      try fixture.write(run, step: 1)
      let newest = try fixture.write(run, step: 2)
      let path = newest.directory + "/" + file
      let original = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
      var damaged: [[UInt8]] = [[], Array(original.dropLast(1)), Array(original.prefix(original.count / 2))]
      for position in [0, original.count / 3, original.count - 2] {
        var bytes = original
        bytes[position] ^= 4
        damaged.append(bytes)
      }
      for bytes in damaged {
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        var named: [String] = []
        let found = try Checkpoint.open(run) { named.append($0.description) }
        #expect(found.state.step == 1)
        #expect(named.count == 1 && named[0].contains("step-00000002"))
      }
      try FileManager.default.removeItem(atPath: run + "/checkpoints/step-00000001")
      let error = #expect(throws: CheckpointError.self) { try Checkpoint.open(run) }
      #expect(error?.exitCode == 65)
    }
  }

  @Test("a folder that was never finished is no checkpoint")
  func unfinished() throws {
    try SmallRun.withFolder { run in
      let fixture = Fixture()
      try fixture.write(run, step: 1)
      try FileManager.default.createDirectory(
        atPath: run + "/checkpoints/.step-00000002.partial", withIntermediateDirectories: true)
      #expect(try Checkpoint.open(run).state.step == 1)
      #expect(try fixture.write(run, step: 2).state.step == 2)
    }
  }

  @Test("what was never finished is removed by the next checkpoint, of whatever step")
  func unfinishedOfAnotherStep() throws {
    try SmallRun.withFolder { run in
      let folder = run + "/checkpoints"
      for name in [".step-00000007.partial", ".step-00000001.replaced"] {
        try FileManager.default.createDirectory(
          atPath: folder + "/" + name, withIntermediateDirectories: true)
      }
      try Fixture().write(run, step: 2)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["step-00000002"])
    }
  }

  @Test("a checkpoint of another network changes nothing")
  func otherNetwork() throws {
    try SmallRun.withFolder { run in
      let checkpoint = try Fixture().write(run, step: 1)
      let other = Fixture(outputs: 5)
      other.network.store.initialize(seed: 9)
      let before = other.network.store.parameters.map { $0.exportValues() }
      let error = #expect(throws: CheckpointError.self) {
        try checkpoint.restore(other.network, velocities: nil)
      }
      #expect(error?.exitCode == 65)
      #expect(before == other.network.store.parameters.map { $0.exportValues() })
    }
  }

  @Test("weights that are not finite are not written", arguments: [Float.nan, .infinity])
  func notFinite(value: Float) throws {
    try SmallRun.withFolder { run in
      let fixture = Fixture()
      try fixture.write(run, step: 1)
      fixture.network.store.parameters[2].values[1] = value
      let error = #expect(throws: CheckpointError.self) { try fixture.write(run, step: 2) }
      #expect(error?.exitCode == 70)
      #expect(Checkpoint.names(in: run + "/checkpoints") == ["step-00000001"])
    }
  }

  @Test("a disk that refuses leaves the earlier checkpoints")
  func refusingDisk() throws {
    try SmallRun.withFolder { run in
      let fixture = Fixture()
      try fixture.write(run, step: 1)
      // A file where the folder should be made stands for every refusal of the system.
      try Data([1]).write(to: URL(fileURLWithPath: run + "/blocked"))
      let error = #expect(throws: CheckpointError.self) { try fixture.write(run + "/blocked", step: 2) }
      #expect(error?.exitCode == 74)
      #expect(try Checkpoint.open(run).state.step == 1)
    }
  }
}
