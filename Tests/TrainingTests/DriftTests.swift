import Communication
import Foundation
import Networks
import Testing

@testable import Training

/// How far runs on several ranks part from a run on one, and why: docs/adr/0007-drift-between-ranks.md.
@Suite("Drift between ranks") struct DriftTests {
  /// All that a trainer's next step depends on. Megabytes: kept of one run at most.
  private struct Position: Sendable {
    var values: [Float], velocities: [Float]
    var states: [[Double]]

    init(_ trainer: Trainer) {
      values = Array(trainer.network.store.values)
      velocities = Array(trainer.step.optimizer.velocities)
      states = trainer.network.states.map { Array($0.values) }
    }

    /// Makes the trainer go on from here.
    func restore(_ trainer: Trainer) {
      _ = trainer.network.store.values.update(fromContentsOf: values)
      _ = trainer.step.optimizer.velocities.update(fromContentsOf: velocities)
      for (state, values) in zip(trainer.network.states, states) {
        _ = state.values.update(fromContentsOf: values)
      }
    }

    /// ‖g − h‖ / ‖h‖, g what `trainer`'s step took from the velocities `before` it, h what the step to here took, weight
    /// decay included: some gradients are never written.
    func gradientDifference(_ trainer: Trainer, before: [Float]) -> Double {
      let momentum = trainer.step.optimizer.momentum
      var difference = 0.0
      var norm = 0.0
      for (index, velocity) in trainer.step.optimizer.velocities.enumerated() {
        let expected = momentum * before[index] - velocities[index]
        let found = momentum * before[index] - velocity
        difference += Double(found - expected) * Double(found - expected)
        norm += Double(expected) * Double(expected)
      }
      return (difference / norm).squareRoot()
    }
  }

  /// What a step is compared by.
  private struct Step: Sendable {
    var loss: Double
    var filtersPerCategory: [[Int]]
    /// Of a run that leads others: where it was after the step.
    var position: Position?
    /// Of a run that is led: from the leading run's step.
    var gradientDifference: Double?
  }

  /// Rank 0's steps. With `led` every step starts from where that run was before it.
  private static func steps(
    _ configuration: TrainingConfiguration, ranks: Int, leads: Bool = false, led: [Step] = []
  ) throws -> [Step] {
    let positions = led.compactMap(\.position)
    precondition(positions.count == led.count, "the run does not lead")
    return try SmallRun.withFolder { folder in
      try InProcessGroup.run(size: ranks) { communicator -> [Step] in
        let trainer = try Trainer(
          configuration, output: folder, resume: false, communicator, Console(isSpeaking: false))
        let atRest = [Float](repeating: 0, count: trainer.step.optimizer.velocities.count)
        var steps: [Step] = []
        trainer.onStep = { report in
          var step = Step(loss: report.loss, filtersPerCategory: report.filters.map(\.filtersPerCategory))
          if leads { step.position = Position(trainer) }
          if steps.count < positions.count {
            let before = steps.isEmpty ? atRest : positions[steps.count - 1].velocities
            step.gradientDifference = positions[steps.count].gradientDifference(trainer, before: before)
            positions[steps.count].restore(trainer)
          }
          steps.append(step)
        }
        _ = try trainer.train()
        return steps
      }[0]
    }
  }

  /// Fifty steps of an interpretable network with dropout, every kind of augmentation and synchronised batch norm, on
  /// batches of 7 and 3 images.
  private static func configuration(learningRate: Double) -> TrainingConfiguration {
    var configuration = SmallRun.configuration(steps: 50)
    configuration.learningRate = learningRate
    configuration.dropout = 0.3
    configuration.scaleJitter = 0.2
    configuration.colorJitter = 0.2
    configuration.validateEvery = 1000
    return configuration
  }

  @Test("from the same weights every one of fifty steps is that of one rank", arguments: [true, false])
  func everyStepAlone(interpretable: Bool) throws {
    // A rate at which free runs part by a tenth and more: the weights pass through rough country.
    var configuration = Self.configuration(learningRate: 0.01)
    configuration.interpretable = interpretable
    let one = try Self.steps(configuration, ranks: 1, leads: true)
    try #require(one.count == 50)
    for ranks in [2, 3, 4] {
      let many = try Self.steps(configuration, ranks: ranks, led: one)
      try #require(many.count == 50)
      for (index, (a, b)) in zip(one, many).enumerated() {
        #expect(
          abs(a.loss - b.loss) <= 1e-5 * abs(a.loss),
          "step \(index + 1) of \(ranks) ranks: \(b.loss), \(a.loss)")
        #expect(a.filtersPerCategory == b.filtersPerCategory, "step \(index + 1) of \(ranks) ranks")
      }
      // A sum in another order may switch a ReLU, a maximum or a mask that stands on the edge; that is rare, and a
      // fault would be in every step.
      let differences = many.compactMap(\.gradientDifference)
      try #require(differences.count == 50)
      #expect(differences.count { $0 > 1e-4 } <= 10, "\(ranks) ranks: \(differences)")
    }
  }

  @Test(
    "at a small learning rate fifty steps in a row are those of one rank",
    arguments: [(TrainingConfiguration.FilterLossForm.literal, 1e-4), (.scaled, 1e-6)])
  func fiftySteps(filterLoss: TrainingConfiguration.FilterLossForm, learningRate: Double) throws {
    // Winograd's rounding differs between equal windows of a map, so that a flat background places a mask by the last
    // bit: with direct convolutions nothing is magnified at this rate.
    var configuration = Self.configuration(learningRate: learningRate)
    configuration.filterLoss = filterLoss
    configuration.convolution = .exact
    let one = try Self.steps(configuration, ranks: 1)
    try #require(one.count == 50)
    for ranks in [2, 3, 4] {
      let many = try Self.steps(configuration, ranks: ranks)
      try #require(many.count == 50)
      #expect(abs(one[0].loss - many[0].loss) <= 1e-5 * abs(one[0].loss))
      for (a, b) in zip(one, many) { #expect(abs(a.loss - b.loss) <= 1e-2 * abs(a.loss)) }
      #expect(one.prefix(8).map(\.filtersPerCategory) == many.prefix(8).map(\.filtersPerCategory))
    }
  }
}
