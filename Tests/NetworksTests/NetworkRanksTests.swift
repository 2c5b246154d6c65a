import Tensors
import TestSupport
import Testing

@testable import Networks

/// Whole networks with synchronised batch normalisation: what N ranks add up to is what one computes.
@Suite("Networks on several ranks") struct NetworkRanksTests {
  /// Logits, gradients summed over the ranks, running statistics.
  private static func step(_ test: NetworkMemoryTests.Case, ranks: Int) throws -> [[Float]] {
    let batch = 12 / ranks
    let parts = try ThreadedStatistics.run(ranks) { rank, exchange in
      let trainee = NetworkMemoryTests.Trainee(test, exchange: exchange)
      let network = trainee.network
      network.store.zeroGradients()
      let images = trainee.load(batch, capacity: batch, rank: rank, ranks: ranks)
      let logits = try network.forward(images, trainee.context)
      let gradient = try #require(trainee.loss.evaluate(logits, trainee.context).gradient)
      let values = logits.toArray()
      try network.backward(gradient, trainee.context) { _ in }
      return [
        values, Array(network.store.gradients), network.states.flatMap { $0.values.map { Float($0) } },
      ]
    }
    #expect(parts.allSatisfy { $0[2] == parts[0][2] })
    let gradients = parts[0][1].indices.map { index in parts.reduce(0) { $0 + $1[1][index] } }
    return [parts.flatMap { $0[0] }, gradients, parts[0][2]]
  }

  private static let cases = [Architecture.resNet18, .denseNet121].flatMap { architecture in
    [nil, .paper].map { NetworkMemoryTests.Case(architecture: architecture, formulation: $0) }
  }

  @Test("logits, gradients and running statistics", arguments: cases)
  func equalsOne(test: NetworkMemoryTests.Case) throws {
    try withKernels(.current) {
      let one = try Self.step(test, ranks: 1)
      #expect(one[1].contains { abs($0) > 1e-3 })
      for ranks in [2, 3, 4] {
        // Rounding grows on its way through many rectified layers.
        for (many, expected) in zip(try Self.step(test, ranks: ranks), one) {
          #expect(relativeDifference(many, expected.map(Double.init)) < 1e-3, "\(ranks) ranks")
        }
      }
    }
  }
}
