import Communication
import Foundation
import Networks
import Testing

@testable import Training

/// How far runs on several ranks part from a run on one, and why: docs/adr/0007-drift-between-ranks.md.
@Suite("Drift between ranks") struct DriftTests {
  /// A trainer's numbers after one step.
  private struct Step: Sendable {
    var loss: Double
    var filtersPerCategory: [[Int]]
    var values: [Float]
    /// Of the step before, and its own.
    var before: [Float], velocities: [Float]
    var momentum: Float
    var states: [[Double]]

    init(_ trainer: Trainer, _ report: StepReport, before: [Float]) {
      loss = report.loss
      filtersPerCategory = report.filters.map(\.filtersPerCategory)
      values = Array(trainer.network.store.values)
      velocities = Array(trainer.step.optimizer.velocities)
      self.before = before
      momentum = trainer.step.optimizer.momentum
      states = trainer.network.states.map { Array($0.values) }
    }

    /// What the step took from the velocities, weight decay included: some gradients are never written.
    var gradients: [Float] { zip(velocities, before).map { momentum * $1 - $0 } }

    /// Makes the trainer go on as if it had taken this step.
    func restore(_ trainer: Trainer) {
      _ = trainer.network.store.values.update(fromContentsOf: values)
      _ = trainer.step.optimizer.velocities.update(fromContentsOf: velocities)
      for (state, values) in zip(trainer.network.states, states) {
        _ = state.values.update(fromContentsOf: values)
      }
    }

    /// ‖g − h‖ / ‖h‖ of the gradients of all parameters.
    func gradientDifference(_ other: Step) -> Double { Self.difference(gradients, other.gradients) }

    private static func difference(_ a: [Float], _ b: [Float]) -> Double {
      func norm(_ values: some Sequence<Float>) -> Double {
        values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
      }
      return norm(zip(a, b).lazy.map { $0 - $1 }) / norm(b)
    }
  }

  /// Rank 0's steps. With `led` every step starts from what another run had reached before it.
  private static func steps(
    _ configuration: TrainingConfiguration, ranks: Int, led: [Step] = []
  ) throws -> [Step] {
    try SmallRun.withFolder { folder in
      try InProcessGroup.run(size: ranks) { communicator -> [Step] in
        let trainer = try Trainer(
          configuration, output: folder, resume: false, communicator, Console(isSpeaking: false))
        var steps: [Step] = []
        var before = Array(trainer.step.optimizer.velocities)
        trainer.onStep = { report in
          steps.append(Step(trainer, report, before: before))
          if steps.count <= led.count { led[steps.count - 1].restore(trainer) }
          before = Array(trainer.step.optimizer.velocities)
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
    let one = try Self.steps(configuration, ranks: 1)
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
      let differences = zip(one, many).map { $1.gradientDifference($0) }
      #expect(differences.count { $0 > 1e-4 } <= 10, "\(ranks) ranks: \(differences)")
    }
  }

  @Test(
    "at a small learning rate fifty steps in a row are those of one rank",
    arguments: [(TrainingConfiguration.FilterLossForm.literal, 1e-4), (.scaled, 1e-5)])
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
