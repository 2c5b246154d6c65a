import Foundation
import Testing

@testable import Training

@Suite("TrainingConfiguration") struct TrainingConfigurationTests {
  @Test("YAML overrides the defaults, and the echo reads back the same")
  func roundTrip() throws {
    let text =
      "batch-size: 48\nlearning-rate: 0.5\nformulation: corrected\nflip: false\nsteps: 9\nmean: channel\n"
    let configuration = try TrainingConfiguration(yaml: text, source: "test")
    #expect(configuration.batchSize == 48 && configuration.learningRate == 0.5 && configuration.steps == 9)
    #expect(configuration.formulation == .released(corrected: true))
    #expect(!configuration.flip && configuration.mean == .channel)
    #expect(configuration.epochs == TrainingConfiguration().epochs)
    #expect(try TrainingConfiguration(yaml: configuration.yaml(), source: "echo") == configuration)
    #expect(try TrainingConfiguration(yaml: "", source: "empty") == TrainingConfiguration())
  }

  @Test("every flag's name is understood, also the two that name a value in their own way")
  func flagNames() throws {
    let text = "ordinary: true\ncheckpoint-every: 3\n"
    let configuration = try TrainingConfiguration(yaml: text, source: "test")
    #expect(!configuration.interpretable && configuration.checkpointEverySteps == 3)
    let byEpoch = try TrainingConfiguration(yaml: "checkpoint-every: epoch", source: "test")
    #expect(byEpoch.checkpointEverySteps == nil && byEpoch.interpretable)
  }

  @Test("an unknown option is refused with the nearest known one")
  func unknownOption() throws {
    let error = #expect(throws: ConfigurationError.self) {
      try TrainingConfiguration(yaml: "batch-sise: 3", source: "run.yaml")
    }
    #expect(error?.exitCode == 78)
    #expect(error?.description.contains("did you mean 'batch-size'?") == true)
    #expect(error?.description.contains("run.yaml") == true)
  }

  @Test(
    "values of the wrong kind are refused",
    arguments: ["batch-size: many", "formulation: mine", "- 1", "a: [", "flip: 7.5"])
  func wrongKind(text: String) {
    #expect(throws: ConfigurationError.self) { try TrainingConfiguration(yaml: text, source: "test") }
  }

  @Test("a missing file is code 66")
  func missingFile() {
    let error = #expect(throws: ConfigurationError.self) {
      try TrainingConfiguration(yamlFile: "/nonexistent/x.yaml")
    }
    #expect(error?.exitCode == 66)
  }

  @Test("ranges are checked")
  func ranges() throws {
    try TrainingConfiguration().validate(ranks: 4)
    let changes: [(inout TrainingConfiguration) -> Void] = [
      { $0.batchSize = 3 }, { $0.accumulate = 5 }, { $0.epochs = 0 }, { $0.steps = 0 }, { $0.imageSize = 8 },
      { $0.learningRate = -1 }, { $0.momentum = 1 }, { $0.weightDecay = -1 }, { $0.dropout = 1 },
      { $0.filterLossWeight = -1 }, { $0.cropMargin = 2 }, { $0.scaleJitter = 1 }, { $0.colorJitter = -0.1 },
      { $0.keepCheckpoints = 0 }, { $0.scoreScale = 0 }, { $0.filterGradientShare = -1 },
      { $0.filterGradientShare = .nan }, { $0.filterLossWarmupEpochs = -1 },
      { $0.filterLossWarmupEpochs = .nan }, { $0.filterLossWeight = 2 },
      { ($0.maskScale, $0.formulation) = (.none, .released(corrected: false)) },
      { $0.bucketSize = .mebibytes(0) },
      { ($0.bucketSize, $0.reproducible, $0.batchSize) = (.automatic, true, 32) },
    ]
    for change in changes {
      var configuration = TrainingConfiguration()
      change(&configuration)
      #expect(throws: ConfigurationError.self) { try configuration.validate(ranks: 4) }
    }
  }

  @Test(
    "the share of the filter gradient: as asked for, else the default; the resolved configuration says it")
  func filterGradientShare() throws {
    var configuration = TrainingConfiguration()
    for (positiveClass, asked, expected) in [
      (nil, nil, 0.75), ("cat", nil, 0.75), (nil, 0.25, 0.25), ("cat", 0.25, 0.25),
    ] as [(String?, Double?, Double)] {
      configuration.positiveClass = positiveClass
      configuration.filterGradientShare = asked
      let resolved = try configuration.resolved().0
      #expect(resolved.filterGradientShare == expected)
      #expect(resolved.networkOptions(outputs: 1).interpretable?.gradientShare == expected)
    }
  }

  @Test("the form of the filter loss: scaled by default, literal and off as they say, the released one's own")
  func filterLossForms() throws {
    var configuration = try TrainingConfiguration(
      yaml: "score-scale: 20\nfilter-gradient-share: 3\nepochs: 12", source: "test"
    ).resolved().0.withFilterLossWarmup(trainingImages: 100)
    #expect(configuration.filterLoss == .scaled && configuration.filterLossWarmupEpochs == 4)
    let scaled = try #require(configuration.networkOptions(outputs: 3).interpretable)
    #expect(scaled.scoreScale == 20 && scaled.gradientShare == 3 && scaled.warmupEpochs == 4)
    #expect(scaled.filterLossEnabled)
    configuration.initialWeights = "weights.safetensors"
    configuration.filterLossWarmupEpochs = nil
    #expect(configuration.withFilterLossWarmup(trainingImages: 100).filterLossWarmupEpochs == 0)
    configuration.initialWeights = nil
    configuration.steps = 21
    // 4 steps an epoch, of batches of 32.
    #expect(configuration.withFilterLossWarmup(trainingImages: 100).filterLossWarmupEpochs == 21.0 / 4 / 3)
    configuration.filterLoss = .literal
    configuration.filterLossWeight = 7
    try configuration.validate(ranks: 1)
    let literal = try #require(configuration.networkOptions(outputs: 3).interpretable)
    #expect(literal.scoreScale == nil && literal.gradientShare == nil && literal.weight == 7)
    configuration.filterLoss = .off
    #expect(configuration.networkOptions(outputs: 3).interpretable?.filterLossEnabled == false)
    configuration.filterLoss = .scaled
    configuration.formulation = .released(corrected: false)
    try configuration.validate(ranks: 1)
    let released = try #require(configuration.networkOptions(outputs: 3).interpretable)
    #expect(released.scoreScale == nil && released.gradientShare == nil && released.filterLossEnabled)
  }

  @Test("the network's own values are filled in")
  func resolved() throws {
    let (configuration, architecture) = try TrainingConfiguration().resolved()
    #expect(configuration.imageSize == architecture.imageSize)
    #expect(configuration.learningRate == architecture.learningRate)
    #expect(configuration.epochs == architecture.epochs)
    #expect(configuration.scaleJitter == architecture.scaleJitter)
    #expect(configuration.colorJitter == architecture.colorJitter)
    var own = TrainingConfiguration()
    own.epochs = 3
    own.scaleJitter = 0
    own.colorJitter = 0.7
    let kept = try own.resolved().0
    #expect(kept.epochs == 3 && kept.scaleJitter == 0 && kept.colorJitter == 0.7)
    var unknown = TrainingConfiguration()
    unknown.network = "lenet"
    #expect(throws: ConfigurationError.self) { try unknown.resolved() }
    var small = TrainingConfiguration()
    small.network = "alexnet"
    small.imageSize = 40
    #expect(throws: ConfigurationError.self) { try small.resolved() }
  }
}
