import Foundation
import Tensors
import TestSupport
import Testing

@testable import Networks

@Suite("share of the filter gradient")
struct FilterGradientShareTests {
  static let gradients = [InterpretableOptions.FilterGradient.singleTerm, .exact, .exactConstantZ]

  @Test("running squares, decaying peak, and ρ/t · P / R")
  func arithmetic() {
    let share = FilterGradientShare("mask", share: 3, warmupEpochs: 0)
    #expect(share.strength(epochsDone: 0, epochsInRun: 1) == 0)
    share.update(task: 16, filter: 0, batchesInRun: 40)
    #expect(share.strength(epochsDone: 0, epochsInRun: 1) == 0)
    share.update(task: 16, filter: 4, batchesInRun: 40)
    #expect(share.strength(epochsDone: 0, epochsInRun: 1) == 6)
    share.update(task: 4, filter: 1, batchesInRun: 400)
    let (kept, new) = (exp(-0.1), 1 - exp(-0.1))
    let (mean, filter) = (16 * kept + 4 * new, 4 * kept + new)
    let peak = max(mean, 16 * exp(-2 / (400.0 / 4)))
    #expect(peak > mean)
    for (value, expected) in zip(share.squares.values, [mean, peak, filter]) {
      #expect(abs(value - expected) < 1e-12)
    }
    #expect(abs(share.strength(epochsDone: 0, epochsInRun: 1) - 3 * (peak / filter).squareRoot()) < 1e-12)
  }

  @Test(
    "nothing in the warm-up, then t goes from 1 to 20 with the share of the run, however long its epochs are")
  func decay() {
    let share = FilterGradientShare("mask", share: 40, warmupEpochs: 2.5)
    share.update(task: 1, filter: 1, batchesInRun: 10)
    let strengths = [0, 2.25, 2.5, 3.5, 7.25, 12, 13].map { share.strength(epochsDone: $0, epochsInRun: 12) }
    for (strength, t) in zip(strengths, [.infinity, .infinity, 1, 3, 10.5, 20, 20]) {
      #expect(abs(strength - 40 / t) < 1e-12)
    }
    // Half of the run is half of the run.
    let alone = FilterGradientShare("mask", share: 40, warmupEpochs: 0)
    alone.update(task: 1, filter: 1, batchesInRun: 10)
    for epochs in [0.25, 1, 300] {
      #expect(abs(alone.strength(epochsDone: epochs / 2, epochsInRun: epochs) - 40 / 10.5) < 1e-12)
    }
    // A run that ends in its warm-up never comes to it.
    #expect(share.strength(epochsDone: 2, epochsInRun: 2) == 0)
  }

  @Test("a vanishing task gradient lets the strength fall slowly; what is not finite is left out")
  func degenerateSquares() {
    let share = FilterGradientShare("mask", share: 2, warmupEpochs: 0)
    share.update(task: 1, filter: 1, batchesInRun: 200)
    for _ in 0..<10 { share.update(task: 0, filter: 0, batchesInRun: 200) }
    #expect(abs(share.strength(epochsDone: 0, epochsInRun: 1) - 2) < 1e-12)
    for _ in 0..<50 { share.update(task: 1e-12, filter: 1, batchesInRun: 200) }
    // A quarter of the run: by e.
    #expect(abs(share.strength(epochsDone: 0, epochsInRun: 1) - 2 * exp(-1)) < 1e-2)
    let before = Array(share.squares.values)
    share.update(task: .nan, filter: .infinity, batchesInRun: 200)
    #expect(share.squares.values[0] == before[0] && share.squares.values[2] == before[2])
    share.squares.values[2] = 1e-300
    #expect(share.strength(epochsDone: 0, epochsInRun: 1) <= 2 / FilterGradientShare.smallestFilterGradient)
  }

  /// Task gradient at x and filter gradient without weight, by loops in Double: [C][N, H, W].
  private func parts(_ paperCase: PaperCase, _ harness: MaskHarness, scale: Double) -> [(
    task: [Double], filter: [Double]
  )] {
    let oracle = paperCase.oracle
    let cells = paperCase.height * paperCase.width
    return (0..<paperCase.filters).map { filter in
      let x = paperCase.maps(harness.x, filter)
      let dy = paperCase.maps(harness.upstream, filter)
      var task = dy
      for n in 0..<paperCase.images {
        var peak = 0
        for cell in 0..<cells where x[n * cells + cell] > x[n * cells + peak] { peak = cell }
        for cell in 0..<cells {
          let mask = oracle.template(peak, cell / paperCase.width, cell % paperCase.width) / oracle.tau
          let factor = harness.options.maskScale == .none ? 1 : max(mask, 0)
          task[n * cells + cell] *= x[n * cells + cell] > 0 ? factor : 0
        }
      }
      let scaled = x.map { $0 * scale }
      let slope =
        harness.options.filterGradient == .singleTerm
        ? oracle.singleTermGradient(scaled, isOwn: harness.classes.map { $0 == 0 })
        : oracle.gradientWithConstantZ(scaled)
      return (task, slope.map { $0 * Double(oracle.count) / oracle.tau })
    }
  }

  @Test(
    "the first step measures, the second adds ρ/t · P / R times the gradient", arguments: PaperCase.all,
    [InterpretableOptions.MaskScale.unit, .none])
  func matchesOracle(_ paperCase: PaperCase, _ maskScale: InterpretableOptions.MaskScale) throws {
    var harness = paperCase.scaledHarness
    harness.options.maskScale = maskScale
    // t = 3.
    harness.epochsDone = 20
    harness.epochsInRun = 190
    for gradient in [InterpretableOptions.FilterGradient.singleTerm, .exactConstantZ] {
      harness.options.filterGradient = gradient
      let parts = parts(paperCase, harness, scale: 10 / paperCase.meanMaximum(harness.x))
      var (task, filter) = (0.0, 0.0)
      for (index, part) in parts.enumerated() {
        for (cell, x) in paperCase.maps(harness.x, index).enumerated() where x > 0 {
          task += part.task[cell] * part.task[cell]
          filter += part.filter[cell] * part.filter[cell]
        }
      }
      let strength = 2.0 / 3 * (task / filter).squareRoot()
      let (first, second) = (try harness.run(), try harness.run(steps: 2))
      #expect(first.reports[0].lambda == 0 && first.reports[0].gradientRatio == 0)
      #expect(abs((second.reports[0].gradientRatio ?? 0) - 2.0 / 3) < 1e-5)
      for index in 0..<paperCase.filters {
        let part = parts[index]
        #expect(relativeDifference(paperCase.maps(first.dx, index), part.task, floor: 1e-6) < 1e-6)
        let expected = zip(part.task, part.filter).map { $0 + strength * $1 }
        #expect(relativeDifference(paperCase.maps(second.dx, index), expected, floor: 1e-6) < 5e-6)
      }
      // λ is what the loss's own gradient is multiplied by.
      let scale = second.reports[0].scoreScale
      let lambda = strength * Double(paperCase.oracle.count) / (paperCase.oracle.tau * scale)
      #expect(abs(second.reports[0].lambda / lambda - 1) < 1e-5)
      #expect(second.reports[0].weightedLoss == second.reports[0].terms?.loss)
    }
  }

  /// The filter gradient of the second step, relative to the RMS of the task gradient.
  private func relativeGradient(_ harness: MaskHarness) throws -> [Double] {
    var masksOnly = harness
    masksOnly.options.filterLossEnabled = false
    let task = try masksOnly.run(steps: 2).dx
    let active = zip(task, harness.x).map { $1 > 0 ? Double($0) : 0 }
    let scale = (active.reduce(0) { $0 + $1 * $1 } / Double(task.count)).squareRoot()
    return zip(try harness.run(steps: 2).dx, task).map { (Double($0) - Double($1)) / scale }
  }

  @Test("the direction is that of the loss's own gradient", arguments: gradients)
  func direction(_ gradient: InterpretableOptions.FilterGradient) throws {
    var harness = PaperCase.all[0].scaledHarness
    harness.options.filterGradient = gradient
    let shared = try relativeGradient(harness)
    harness.options.gradientShare = nil
    let weighed = try relativeGradient(harness)
    let product = zip(shared, weighed).reduce(0) { $0 + $1.0 * $1.1 }
    let norms = shared.reduce(0) { $0 + $1 * $1 } * weighed.reduce(0) { $0 + $1 * $1 }
    #expect(product / norms.squareRoot() > 1 - 1e-9)
  }

  @Test("activations of another scale change nothing", arguments: PaperCase.all)
  func activationScale(_ paperCase: PaperCase) throws {
    for gradient in Self.gradients {
      var harness = paperCase.scaledHarness
      harness.options.filterGradient = gradient
      var larger = harness
      larger.x = harness.x.map { $0 * 64 }
      let one = try relativeGradient(harness)
      #expect(relativeDifference(try relativeGradient(larger), one) < 1e-4, "\(gradient)")
      // Another scale of the task's gradient neither.
      larger.upstream = harness.upstream.map { $0 / 1024 }
      #expect(relativeDifference(try relativeGradient(larger), one) < 1e-4, "\(gradient)")
    }
  }

  @Test("a batch with every image twice changes nothing", arguments: PaperCase.all)
  func batchSize(_ paperCase: PaperCase) throws {
    for gradient in Self.gradients {
      var harness = paperCase.scaledHarness
      harness.options.filterGradient = gradient
      var twice = harness
      twice.shape = harness.shape.with(batch: 2 * paperCase.images)
      twice.x += harness.x
      twice.classes += harness.classes
      // The mean over twice as many images.
      twice.upstream = (harness.upstream + harness.upstream).map { $0 / 2 }
      let (one, two) = (try relativeGradient(harness), try relativeGradient(twice))
      #expect(relativeDifference(Array(two[..<one.count]), one) < 1e-4, "\(gradient)")
      #expect(relativeDifference(Array(two[one.count...]), one) < 1e-4, "\(gradient)")
      let states = (try harness.run(steps: 2).states, try twice.run(steps: 2).states)
      let squares = (states.0["mask.gradient_squares"] ?? [], states.1["mask.gradient_squares"] ?? [0, 0, 0])
      #expect(relativeDifference(squares.1, squares.0) < 1e-6, "\(gradient)")
    }
  }

  @Test("a part of a step that accumulates two acts by half and measures the same", arguments: gradients)
  func accumulation(_ gradient: InterpretableOptions.FilterGradient) throws {
    var harness = PaperCase.all[0].scaledHarness
    harness.options.filterGradient = gradient
    let whole = try harness.run(steps: 2)
    harness.upstream = harness.upstream.map { $0 / 2 }
    let context = StepContext()
    context.gradientShare = 0.5
    let (layer, store) = harness.makeLayer()
    _ = try harness.step(layer, context, first: 0, count: harness.shape.batch)
    let half = try harness.step(layer, context, first: 0, count: harness.shape.batch)
    #expect(relativeDifference(half.dx.map { 2 * $0 }, whole.dx) < 1e-6)
    #expect(
      relativeDifference(
        half.states["mask.gradient_squares"] ?? [], whole.states["mask.gradient_squares"] ?? []) < 1e-9)
    #expect(abs((half.reports[0].gradientRatio ?? 0) - 2) < 1e-5)
    withExtendedLifetime(store) {}
  }

  @Test("a layer with restored states continues exactly", arguments: gradients)
  func resumes(_ gradient: InterpretableOptions.FilterGradient) throws {
    var harness = PaperCase.all[0].scaledHarness
    harness.options.filterGradient = gradient
    harness.batchesPerEpoch = 3
    let images = harness.shape.batch
    let (layer, store) = harness.makeLayer()
    let (resumed, resumedStore) = harness.makeLayer()
    let context = StepContext()
    try withKernels(.portable) {
      for factor: Float in [1, 1.5, 0.5] {
        harness.x = harness.x.map { $0 * factor }
        _ = try harness.step(layer, context, first: 0, count: images)
      }
      for (from, to) in zip(layer.states, resumed.states) {
        #expect(from.name == to.name && from.shape == to.shape)
        _ = to.values.update(fromContentsOf: from.values)
      }
      let one = try harness.step(layer, context, first: 0, count: images)
      let other = try harness.step(resumed, context, first: 0, count: images)
      #expect(one.dx == other.dx && one.states == other.states)
      #expect(one.reports[0].lambda == other.reports[0].lambda && one.reports[0].lambda > 0)
      #expect(one.reports[0].scoreScale == other.reports[0].scoreScale)
      // Without them it would not.
      let (fresh, freshStore) = harness.makeLayer()
      let alone = try harness.step(fresh, context, first: 0, count: images)
      #expect(alone.dx != one.dx)
      withExtendedLifetime(freshStore) {}
    }
    withExtendedLifetime((store, resumedStore)) {}
  }

  /// Batches that have nothing to say, in one way or another.
  enum Degenerate: String, CaseIterable, Sendable {
    case silentMaps, oneSilentFilter, noTaskGradient, noPositives, onlyPositives, oneImage, equalMaps, tiny,
      huge

    func apply(_ harness: inout MaskHarness) {
      let cells = harness.shape.cells
      switch self {
      case .silentMaps: harness.x = harness.x.map { _ in 0 }
      case .oneSilentFilter:
        for index in harness.x.indices where index / cells % harness.shape.channels == 0 {
          harness.x[index] = 0
        }
      case .noTaskGradient: harness.upstream = harness.upstream.map { _ in 0 }
      case .noPositives: harness.classes = harness.classes.map { _ in 1 }
      case .onlyPositives: harness.classes = harness.classes.map { _ in 0 }
      case .oneImage:
        harness.shape = harness.shape.with(batch: 1)
        harness.x = Array(harness.x[..<harness.shape.features])
        harness.upstream = Array(harness.upstream[..<harness.shape.features])
        harness.classes = [0]
      case .equalMaps: harness.x = harness.x.map { _ in 1 }
      case .tiny: harness.x = harness.x.map { $0 * 1e-38 }
      case .huge: harness.x = harness.x.map { $0 * 1e34 }
      }
    }
  }

  @Test(
    "batches without information leave no NaN, neither alone nor after others", arguments: Degenerate.allCases
  )
  func degenerate(_ kind: Degenerate) throws {
    for gradient in Self.gradients {
      for normalizer in [InterpretableOptions.Normalizer.batch, .running] {
        var usual = PaperCase.all[0].scaledHarness
        usual.options.filterGradient = gradient
        usual.options.normalizer = normalizer
        var harness = usual
        kind.apply(&harness)
        let (layer, store) = harness.makeLayer()
        let context = StepContext()
        for step in [harness, harness, usual, harness, usual] {
          let outcome = try step.step(layer, context, first: 0, count: step.shape.batch)
          let place: Comment = "\(gradient), \(normalizer)"
          #expect(outcome.dx.allSatisfy(\.isFinite) && outcome.y.allSatisfy(\.isFinite), place)
          for values in outcome.states.values { #expect(values.allSatisfy { !$0.isNaN }, place) }
          let report = outcome.reports[0]
          #expect(report.lambda.isFinite && report.scoreScale.isFinite, place)
          #expect(report.terms?.loss.isFinite == true && report.gradientRatio?.isNaN != true, place)
        }
        withExtendedLifetime(store) {}
      }
    }
  }
}
