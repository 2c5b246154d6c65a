import Datasets
import Foundation
import Networks
import Testing
import Weights

@testable import Training

@Suite("Weights of other programs in a training") struct StartingPointTests {
  /// A narrow AlexNet as torchvision would save it, [N, C, H, W] of 64 pixels.
  private static func write(_ path: String, metadata: [String: String] = [:]) throws {
    var options = NetworkOptions(outputs: 3, imageSize: 64)
    options.widths = [
      "features.0": 6, "features.3": 10, "features.6": 12, "features.8": 20, "features.10": 9,
      "classifier.1": 8,
      "classifier.4": 7,
    ]
    let network = Architecture.alexNet.build(options)
    network.store.initialize(seed: 77)
    try SafeTensors.write(
      network.store.parameters.map { parameter in
        SafeTensors.Entry(parameter.name, .float32, shape: parameter.shape) {
          parameter.canonical(
            from: parameter.values, into: $0.baseAddress!.assumingMemoryBound(to: Float.self))
        }
      }, metadata: metadata, to: path)
  }

  private static func configuration(_ weights: String) -> TrainingConfiguration {
    var configuration = SmallRun.configuration(steps: 1)
    configuration.network = "alexnet"
    configuration.imageSize = 64
    configuration.initialWeights = weights
    // So small a step changes no weight.
    configuration.learningRate = 1e-30
    return configuration
  }

  @Test("convolutions are loaded at the file's widths, its preprocessing kept, on any number of ranks")
  func widthsAndPreprocessing() throws {
    try SmallRun.withFolder { folder in
      let path = folder + "/weights.safetensors"
      try Self.write(path)
      let source = try WeightsFile(path: path)
      for ranks in [1, 2] {
        let run = folder + "/\(ranks)"
        _ = try SmallRun.train(Self.configuration(path), ranks: ranks, output: run)
        let checkpoint = try Checkpoint.open(run)
        #expect(checkpoint.state.configuration.widths?["features.10"] == 9)
        #expect(checkpoint.state.configuration.interpretable)
        #expect(checkpoint.state.preprocessing == .torchvision(imageSize: 64))
        let trained = try WeightsFile(checkpoint)
        #expect(try trained["features.10.weight"]?.floats() == source["features.10.weight"]?.floats())
        #expect(trained["interpretable.0.weight"]?.shape == [9, 9, 3, 3])
        // Opened again, it is the same network.
        let opened = try TrainedNetwork(run)
        #expect(opened.network.store.parameter(named: "features.0.weight")?.shape == [6, 3, 11, 11])
        #expect(opened.state.preprocessing == .torchvision(imageSize: 64))
      }
    }
  }

  @Test("a run goes on with the widths of its checkpoint")
  func resume() throws {
    try SmallRun.withFolder { folder in
      let path = folder + "/weights.safetensors"
      try Self.write(path)
      var configuration = Self.configuration(path)
      _ = try SmallRun.train(configuration, ranks: 1, output: folder + "/run")
      configuration.steps = 2
      try FileManager.default.removeItem(atPath: path)
      let result = try SmallRun.train(configuration, ranks: 2, output: folder + "/run", resume: true)
      #expect(result.state?.configuration.widths?["classifier.4"] == 7)
      #expect(result.state?.step == 2)
      configuration.widths = ["features.0": 16]
      let error = #expect(throws: (any Error).self) {
        _ = try SmallRun.train(configuration, ranks: 1, output: folder + "/run", resume: true)
      }
      #expect(error.map { "\($0)".contains("widths") } == true)
    }
  }

  @Test("--preprocessing measured looks at the training images")
  func measured() throws {
    try SmallRun.withFolder { folder in
      let path = folder + "/weights.safetensors"
      try Self.write(path)
      var configuration = Self.configuration(path)
      configuration.preprocessing = .measured
      _ = try SmallRun.train(configuration, ranks: 1, output: folder + "/run")
      let preprocessing = try Checkpoint.open(folder + "/run").state.preprocessing
      #expect(preprocessing.meanKind == .pixel)
      #expect(preprocessing.scale != Preprocessing.torchvision(imageSize: 64).scale)
    }
  }

  @Test("a training from a checkpoint sees images as that checkpoint does")
  func fromCheckpoint() throws {
    try SmallRun.withFolder { folder in
      let path = folder + "/weights.safetensors"
      try Self.write(path)
      _ = try SmallRun.train(Self.configuration(path), ranks: 1, output: folder + "/first")
      for source in [
        folder + "/first", try Checkpoint.open(folder + "/first").directory + "/model.safetensors",
      ] {
        let run = folder + "/\(UUID().uuidString)"
        _ = try SmallRun.train(Self.configuration(source), ranks: 1, output: run)
        #expect(try Checkpoint.open(run).state.preprocessing == .torchvision(imageSize: 64))
      }
    }
  }

  @Test("widths of layers that are not there, or do not divide into groups, are refused")
  func refused() {
    var configuration = TrainingConfiguration()
    configuration.network = "caffe-alexnet"
    configuration.widths = ["conv9": 16]
    #expect(throws: ConfigurationError.self) { try configuration.resolved() }
    configuration.widths = ["conv2": 15]
    #expect(throws: ConfigurationError.self) { try configuration.resolved() }
    configuration.widths = ["conv2": 14]
    #expect(throws: Never.self) { try configuration.resolved() }
    configuration.widths = ["conv2": 0]
    #expect(throws: ConfigurationError.self) { try configuration.validate(ranks: 1) }
  }
}
