import Foundation
import Tensors
import TestSupport
import Testing

@testable import Networks

extension PaperCase {
  /// With scaled scores and a filter gradient that is a share of the task's.
  var scaledHarness: MaskHarness {
    var harness = harness
    harness.options.scoreScale = 10
    harness.options.gradientShare = 2
    return harness
  }

  /// Mean over all maps of the maximum.
  func meanMaximum(_ x: [Float]) -> Double {
    let cells = height * width
    let maxima = stride(from: 0, to: x.count, by: cells).map { Double(x[$0..<$0 + cells].max() ?? 0) }
    return maxima.reduce(0, +) / Double(maxima.count)
  }
}

@Suite("scale of the scores")
struct ScoreScaleTests {
  @Test("the first batch sets the mean, later ones enter with their share, silent ones leave it")
  func runningMean() {
    let scale = ScoreScale("mask", target: 10)
    #expect(!scale.isKnown && scale.factor == 1)
    scale.update(0)
    scale.update(.nan)
    #expect(!scale.isKnown)
    scale.update(4)
    #expect(scale.isKnown && scale.factor == 2.5)
    scale.update(0)
    scale.update(.infinity)
    #expect(scale.factor == 2.5)
    scale.update(14)
    let expected = 4 * exp(-0.1) + 14 * (1 - exp(-0.1))
    #expect(abs(scale.meanMaximum.values[0] - expected) < 1e-12)
    #expect(abs(scale.factor - 10 / expected) < 1e-12)
  }

  @Test("loss and gradients are those of the scaled maps, by the loops", arguments: PaperCase.all)
  func matchesOracle(_ paperCase: PaperCase) throws {
    var harness = paperCase.harness
    harness.upstream = harness.upstream.map { _ in 0 }
    harness.options.scoreScale = 10
    let scale = 10 / paperCase.meanMaximum(harness.x)
    let oracle = paperCase.oracle
    for gradient in [InterpretableOptions.FilterGradient.singleTerm, .exactConstantZ] {
      harness.options.filterGradient = gradient
      let outcome = try harness.run()
      let report = outcome.reports[0]
      #expect(abs(report.scoreScale - scale) < 1e-9 * scale)
      #expect(abs(report.lambda - paperCase.meanMaximum(harness.x)) < 1e-9 * report.lambda)
      for filter in 0..<paperCase.filters {
        let scaled = paperCase.maps(harness.x, filter).map { $0 * scale }
        let loss = oracle.loss(scaled)
        #expect(abs(outcome.termsPerFilter[0][filter] - loss) < 1e-9 * abs(loss) + 1e-13)
        let slope =
          gradient == .singleTerm
          ? oracle.singleTermGradient(scaled, isOwn: harness.classes.map { $0 == 0 })
          : oracle.gradientWithConstantZ(scaled)
        // The chain rule: x' = scale·x.
        let expected = slope.map { $0 * scale * report.lambda }
        #expect(relativeDifference(paperCase.maps(outcome.dx, filter), expected, floor: 1e-12) < 2e-6)
      }
    }
  }

  @Test(
    "the exact gradient matches finite differences with the scale held constant", arguments: PaperCase.all)
  func exactMatchesDifferences(_ paperCase: PaperCase) throws {
    var harness = paperCase.harness
    harness.upstream = harness.upstream.map { _ in 0 }
    harness.options.scoreScale = 10
    harness.options.filterGradient = .exact
    let outcome = try harness.run()
    let scale = outcome.reports[0].scoreScale
    for filter in 0..<paperCase.filters {
      let x = paperCase.maps(harness.x, filter)
      let step = 1e-3 * Double(paperCase.amplitude)
      let expected = x.indices.map { index in
        var (above, below) = (x, x)
        above[index] += step
        below[index] -= step
        let rise =
          paperCase.oracle.loss(above.map { $0 * scale }) - paperCase.oracle.loss(below.map { $0 * scale })
        return rise / (2 * step) * outcome.reports[0].lambda
      }
      #expect(relativeDifference(paperCase.maps(outcome.dx, filter), expected, floor: 1e-9) < 1e-4)
    }
  }

  @Test("the second batch is scaled by what the first one showed")
  func scaleIsOfEarlierBatches() throws {
    let paperCase = PaperCase.all[0]
    var harness = paperCase.harness
    harness.options.scoreScale = 10
    let (layer, store) = harness.makeLayer()
    let context = StepContext()
    let first = try harness.step(layer, context, first: 0, count: harness.shape.batch)
    harness.x = harness.x.map { $0 * 3 }
    let second = try harness.step(layer, context, first: 0, count: harness.shape.batch)
    #expect(second.reports[0].scoreScale == first.reports[0].scoreScale)
    let third = try harness.step(layer, context, first: 0, count: harness.shape.batch)
    let growth = exp(-0.1) + 3 * (1 - exp(-0.1))
    #expect(abs(third.reports[0].scoreScale * growth / first.reports[0].scoreScale - 1) < 1e-7)
    withExtendedLifetime(store) {}
  }

  @Test("activations of another scale have the same loss and the same gradient", arguments: PaperCase.all)
  func scaleInvariance(_ paperCase: PaperCase) throws {
    var harness = paperCase.harness
    harness.upstream = harness.upstream.map { _ in 0 }
    for gradient in [InterpretableOptions.FilterGradient.singleTerm, .exact] {
      harness.options.filterGradient = gradient
      harness.options.scoreScale = 10
      var larger = harness
      larger.x = harness.x.map { $0 * 64 }
      let (one, other) = (try harness.run(), try larger.run())
      // λ is proportional to the activations, the scale to their inverse.
      #expect(relativeDifference(other.dx, one.dx, floor: 1e-12) < 1e-5)
      #expect(abs((one.reports[0].terms?.loss ?? 0) - (other.reports[0].terms?.loss ?? 1)) < 1e-9)
    }
    harness.options.scoreScale = nil
    var larger = harness
    larger.x = harness.x.map { $0 * 64 }
    #expect(relativeDifference(try larger.run().dx, try harness.run().dx, floor: 1e-12) > 0.1)
  }
}
