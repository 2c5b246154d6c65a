import Foundation
import Tensors
import TestSupport
import Testing

@testable import Networks

@Suite("released filter loss")
struct ReleasedFilterLossTests {
  private func harness(labels: Int = 1, side: Int = 5) -> MaskHarness {
    var random = RandomSource(seed: 21, purpose: .test)
    let shape = Shape(batch: 4, channels: 3, height: side, width: side)
    let x = (0..<shape.batch * shape.features).map { _ in max(0, random.uniform(-2, 3)) }
    let classes = [0, 1, 0, 1]
    var harness = MaskHarness(
      shape: shape, x: x, upstream: x.map { _ in 0 }, classes: classes, classCount: 2,
      signs: classes.flatMap { c in (0..<labels).map { $0 == c ? Float(1) : -1 } })
    harness.labelShares = [0.4, 0.6]
    harness.options.formulation = .released(corrected: false)
    return harness
  }

  @Test("the decay starts at 2, learns at a twentieth of the rate, and does not decay itself")
  func decayParameter() throws {
    let (layer, store) = harness().makeLayer()
    let decay = try #require(layer.parameters.first)
    #expect(decay.exportValues() == [2, 2, 2] && decay.name == "mask.decay")
    #expect(decay.learningRateMultiplier == 0.05 && decay.weightDecayMultiplier == 0)
    withExtendedLifetime(store) {}
  }

  @Test("λ = weight / t; the gradient is linear in it, and that of the decay does not see it")
  func lambdaFallsWithEpochs() throws {
    var harness = harness()
    harness.options.weight = 50
    let first = try harness.run()
    harness.epoch = 5
    let fifth = try harness.run()
    #expect(first.reports[0].lambda == 50 && fifth.reports[0].lambda == 10)
    #expect(first.reports[0].terms == nil && first.reports[0].weightedLoss == 0)
    #expect(relativeDifference(fifth.dx.map { $0 * 5 }, first.dx) < 1e-6)
    #expect(first.parameterGradients == fifth.parameterGradients)
    #expect(first.dx.contains { $0 != 0 } && first.parameterGradients.contains { $0 != 0 })
  }

  @Test("without the filter loss there are masks, no gradient of x or of the decay")
  func disabled() throws {
    var harness = harness()
    harness.options.filterLossEnabled = false
    let outcome = try harness.run()
    #expect(outcome.dx.allSatisfy { $0 == 0 } && outcome.parameterGradients.allSatisfy { $0 == 0 })
    #expect(outcome.reports[0].lambda == 0)
  }

  @Test("running peaks decide the groups from the second step on; evaluation leaves them alone")
  func groupsFollowPeaks() throws {
    var harness = harness(labels: 2)
    let (layer, store) = harness.makeLayer()
    let context = StepContext()
    try withExtendedLifetime(store) {
      let first = try harness.step(layer, context, first: 0, count: 4)
      #expect(first.categories == [[0, 0, 0]])
      let peaks = try #require(first.states["mask.peak_magnitudes"])
      #expect(first.states["mask.peak_magnitudes_seen"] == [1])
      let maxima = (0..<3).map { filter in
        (0..<2).map { label in
          [0, 1].map { n -> Double in
            let start = ((n * 2 + label) * 3 + filter) * 25
            return Double(harness.x[start..<start + 25].max() ?? 0)
          }.reduce(0, +) / 2
        }
      }
      #expect(relativeDifference(peaks, maxima.flatMap { $0 }) < 1e-7)
      let second = try harness.step(layer, context, first: 0, count: 4)
      #expect(second.categories[0] == maxima.map { $0[1] > $0[0] ? 1 : 0 })
      let states = layer.states.map { Array($0.values) }
      harness.isTraining = false
      _ = try harness.step(layer, context, first: 0, count: 4)
      #expect(layer.states.map { Array($0.values) } == states)
    }
  }

  @Test("corrected: a silent filter keeps its own peak instead of taking that of label 0")
  func correctedPeaks() throws {
    for corrected in [false, true] {
      var harness = harness(labels: 2)
      harness.options.formulation = .released(corrected: corrected)
      for n in 0..<4 where harness.classes[n] == 1 {
        for cell in 0..<25 { harness.x[(n * 3 + 2) * 25 + cell] = 0 }
      }
      harness.prepare = { layer in
        guard let released = layer.filterLoss as? ReleasedFilterLoss else { return }
        _ = released.peaks.values.update(fromContentsOf: [1, 2, 3, 4, 5, 6])
        released.hasPeaks.values[0] = 1
      }
      let outcome = try harness.run()
      let peaks = try #require(outcome.states["mask.peak_magnitudes"])
      let wanted = corrected ? 6 : 0.9 * 6 + 0.1 * peaks[4]
      #expect(abs(peaks[5] - wanted) < 1e-12)
      #expect(abs(peaks[4] - 5) > 1e-3)
    }
  }

  @Test("corrected: the positive normaliser takes each map's own mask, mirrored in rows and columns")
  func correctedNormalizer() throws {
    var harness = harness()
    harness.options.formulation = .released(corrected: true)
    harness.options.weight = 1000
    let outcome = try harness.run()
    let (images, filters, side) = (4, 3, 5)
    let alpha = 0.5
    for filter in 0..<filters {
      var score: [Double] = []
      var mirrored: [Double] = []
      var masks: [[Double]] = []
      for n in 0..<images {
        let row = Double(outcome.rows[n * filters + filter])
        let column = Double(outcome.columns[n * filters + filter])
        func mask(_ i: Int, _ j: Int, _ r: Double, _ c: Double) -> Double {
          max(1 - 2 * (abs(Double(i) - r) + abs(Double(j) - c)) * 2 / Double(side - 1), -1)
        }
        masks.append([])
        score.append(0)
        mirrored.append(0)
        for i in 0..<side {
          for j in 0..<side {
            let value = Double(harness.x[((n * filters + filter) * side + i) * side + j]) / 25
            masks[n].append(mask(i, j, row, column))
            score[n] += value * masks[n][i * side + j]
            mirrored[n] += value * mask(side - 1 - i, side - 1 - j, row, column)
          }
        }
      }
      let z = alpha * log(mirrored.map { exp($0 / alpha) }.reduce(0, +) / 4)
      let positives = [0, 2]
      let strength = score.map { exp($0 / alpha) * ($0 - z + alpha) }
      let mean = positives.map { strength[$0] }.reduce(0, +) / 2
      for n in positives {
        let start = (n * filters + filter) * side * side
        let expected = masks[n].map { -1e-5 * 1000 * strength[n] / mean * $0 / Double(images) }
        #expect(relativeDifference(outcome.dx[start..<start + 25].map { Double($0) }, expected) < 1e-5)
      }
    }
  }

  @Test("beyond ten labels every label weighs as if it had an equal share of the data")
  func manyLabels() throws {
    var harness = harness(labels: 11)
    harness.classCount = 11
    harness.prepare = { layer in
      guard let released = layer.filterLoss as? ReleasedFilterLoss else { return }
      for filter in 0..<3 { released.peaks.values[filter * 11] = 1 }
      released.hasPeaks.values[0] = 1
    }
    harness.labelShares = []
    let many = try harness.run()
    // The same batch with two labels, of which label 0 has a share of 1/11.
    var few = self.harness(labels: 2)
    few.prepare = { layer in
      guard let released = layer.filterLoss as? ReleasedFilterLoss else { return }
      for filter in 0..<3 { released.peaks.values[filter * 2] = 1 }
      released.hasPeaks.values[0] = 1
    }
    few.labelShares = [1.0 / 11, 10.0 / 11]
    let wanted = try few.run()
    #expect(many.dx.contains { $0 != 0 } && relativeDifference(many.dx, wanted.dx) < 1e-6)
    few.labelShares = [0.5, 0.5]
    #expect(relativeDifference(try few.run().dx, wanted.dx) > 0.1)
  }

  @Test("a 1×1 map keeps its value: its mask is 1")
  func oneCell() throws {
    let harness = harness(side: 1)
    let outcome = try harness.run()
    #expect(outcome.y == harness.x)
    #expect(outcome.dx.allSatisfy(\.isFinite) && outcome.parameterGradients.allSatisfy(\.isFinite))
  }

  @Test("maps that are not square are a programmer's fault")
  func refusesOblongMaps() async {
    await #expect(processExitsWith: .failure) {
      var options = InterpretableOptions()
      options.formulation = .released(corrected: true)
      _ = InterpretableMask(
        "mask", shape: Shape(batch: 1, channels: 1, height: 3, width: 4), categories: 1, options: options)
    }
  }
}
