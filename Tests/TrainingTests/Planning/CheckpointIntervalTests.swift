import Foundation
import Testing

@testable import Training

@Suite("CheckpointInterval") struct CheckpointIntervalTests {
  @Test("by hand: a job that fails once a day and checkpoints in 50 seconds")
  func byHand() {
    // √(2 · 50 · 86400) = 2939.39; Daly: 2939.39 (1 + √(50 / 172800) / 3 + 50 / 172800 / 9) − 50 = 2906.15.
    let interval = CheckpointInterval(
      nodeMeanTimeBetweenFailures: 10 * 86400, nodes: 10, checkpointSeconds: 50, restartSeconds: 0)
    #expect(interval.jobMeanTimeBetweenFailures == 86400)
    #expect(abs(interval.youngSeconds - 2939.388) < 0.001)
    #expect(abs(interval.dalySeconds - 2906.151) < 0.01)
  }

  @Test("a checkpoint that takes longer than the machine lasts")
  func hopeless() {
    let interval = CheckpointInterval(
      nodeMeanTimeBetweenFailures: 100, nodes: 1, checkpointSeconds: 300, restartSeconds: 0)
    #expect(interval.dalySeconds == 100)
  }

  @Test(
    "Daly's interval wastes hardly more than the best of all", arguments: [10.0, 100, 600],
    [1800.0, 86400, 1e6])
  func best(delta: Double, mean: Double) {
    let interval = CheckpointInterval(
      nodeMeanTimeBetweenFailures: mean, nodes: 1, checkpointSeconds: delta, restartSeconds: 60)
    let waste = { (tau: Double) in mean * exp(60 / mean) * (exp((tau + delta) / mean) - 1) / tau - 1 }
    let best = stride(from: 1.0, through: 5 * mean, by: mean / 2000).map(waste).min()!
    #expect(abs(interval.overhead - waste(interval.dalySeconds)) < 1e-9)
    #expect(interval.overhead < best + 0.005 * (1 + best))
  }

  @Test("simulated failures cost what the formula says")
  func simulated() {
    let (tau, delta, restart, mean) = (2000.0, 50.0, 100.0, 20000.0)
    var state: UInt64 = 1
    func exponential() -> Double {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return -mean * log((Double(state >> 11) + 0.5) / Double(1 << 53))
    }
    var (time, done) = (0.0, 0.0)
    var failure = exponential()
    for _ in 0..<200_000 {
      // A piece is repeated, with its restart, until no failure comes before its checkpoint is complete.
      var length = tau + delta
      while failure < length {
        time += failure
        failure = exponential()
        length = restart + tau + delta
      }
      failure -= length
      time += length
      done += tau
    }
    let formula = mean * exp(restart / mean) * expm1((tau + delta) / mean) / tau
    // Daly restarts before a failure may come again; so does this to first order.
    #expect(abs(time / done / formula - 1) < 0.01)
  }
}

@Suite("Straggling") struct StragglingTests {
  @Test(
    "expected maxima of normal numbers as tabulated",
    arguments: [(1, 0.0), (2, 0.5642), (5, 1.1630), (10, 1.5388), (100, 2.5076), (1000, 3.2414)])
  func tabulated(count: Int, expected: Double) {
    #expect(abs(Straggling.expectedMaximum(of: count) - expected) < 0.03)
  }

  @Test("quantiles", arguments: [(0.5, 0.0), (0.975, 1.959964), (0.001, -3.090232)])
  func quantiles(probability: Double, expected: Double) {
    #expect(abs(Straggling.normalQuantile(probability) - expected) < 1e-6)
  }

  @Test("the quartiles' deviation takes no notice of an outlier")
  func deviation() {
    let values = (0...100).map { Straggling.normalQuantile((Double($0) + 0.5) / 101) }
    #expect(abs(robustDeviation(values) - 1) < 0.02)
    #expect(abs(robustDeviation(values + [1e6]) - 1) < 0.03)
    #expect(robustDeviation([1, 2, 3]) == 0)
  }
}
