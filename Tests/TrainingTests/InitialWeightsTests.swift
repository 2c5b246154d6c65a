import Foundation
import Networks
import Testing
import Weights

@testable import Training

@Suite("Weights of another run") struct InitialWeightsTests {
  private static func network(outputs: Int, interpretable: Bool, seed: UInt64) -> Network {
    var options = NetworkOptions(outputs: outputs, imageSize: 16)
    if interpretable { options.interpretable = InterpretableOptions() }
    let network = Architecture.compact.build(options)
    network.store.initialize(seed: seed)
    return network
  }

  /// Trains a step and returns the checkpoint's model file.
  private static func model(in folder: String) throws -> String {
    _ = try SmallRun.train(SmallRun.configuration(steps: 1), ranks: 1, output: folder)
    return try Checkpoint.open(folder).directory + "/model.safetensors"
  }

  @Test("what fits by name and shape is loaded, the rest named")
  func load() throws {
    try SmallRun.withFolder { folder in
      let path = try Self.model(in: folder)
      let reader = try SafeTensors.Reader(path: path)
      // Five classes instead of three: the last layer does not fit, everything else does.
      let network = Self.network(outputs: 5, interpretable: true, seed: 9)
      let before = network.store.parameters.map { $0.exportValues() }
      let report = try InitialWeights.load(WeightsFile(path: path), into: network)
      for (parameter, own) in zip(network.store.parameters, before) {
        let isFresh = parameter.name.hasPrefix("classifier.1.")
        #expect(report.fresh.contains(parameter.name) == isFresh)
        #expect(parameter.exportValues() == (isFresh ? own : try reader.floats(parameter.name)))
      }
      for state in network.states where !report.unused.contains(state.name) {
        #expect(Array(state.values) == (try reader.doubles(state.name)), "\(state.name)")
      }
      #expect(report.fresh == ["classifier.1.weight", "classifier.1.bias"])
      #expect(report.unused.contains("classifier.1.weight"))
      #expect(!report.unused.contains { $0.hasPrefix("preprocessing.") })
      #expect(report.description.contains("; fresh: classifier.1.weight, classifier.1.bias; unused: "))
      #expect(report.loaded + report.unused.count <= reader.tensors.count)
    }
  }

  @Test("a training starts from them, on all ranks")
  func training() throws {
    try SmallRun.withFolder { folder in
      let path = try Self.model(in: folder + "/first")
      var configuration = SmallRun.configuration(steps: 1)
      configuration.initialWeights = path
      // So small a step changes no weight.
      configuration.learningRate = 1e-30
      for ranks in [1, 2] {
        _ = try SmallRun.train(configuration, ranks: ranks, output: folder + "/\(ranks)")
        let (mine, theirs) = (
          try SafeTensors.Reader(
            path: Checkpoint.open(folder + "/\(ranks)").directory + "/model.safetensors"),
          try SafeTensors.Reader(path: path)
        )
        for name in ["features.0.weight", "interpretable.0.weight", "classifier.1.bias"] {
          #expect(try mine.floats(name) == theirs.floats(name))
        }
      }
    }
  }

  @Test("a file of another network, or none, is refused")
  func refuse() throws {
    try SmallRun.withFolder { folder in
      _ = try SafeTensors.write(
        [SafeTensors.Entry("stranger", .float32, shape: [0]) { _ in }], metadata: [:], to: folder + "/other")
      let network = Self.network(outputs: 3, interpretable: false, seed: 1)
      let mismatch = #expect(throws: WeightsError.self) {
        try InitialWeights.load(WeightsFile(path: folder + "/other"), into: network)
      }
      #expect(mismatch?.exitCode == 65)
      #expect(mismatch?.description.contains("none of its 1 arrays fits compact") == true)
      let missing = #expect(throws: WeightsError.self) {
        try InitialWeights.load(WeightsFile(path: folder + "/none"), into: network)
      }
      #expect(missing?.exitCode == 66)
    }
  }
}
