import Foundation
import Tensors
import TestSupport
import Testing

@testable import Networks

/// N ranks with shares of a batch compute what one rank computes with all of it.
@Suite("sharded filter losses")
struct ShardingTests {
  private func expectEqual(_ harness: MaskHarness, _ comment: String, steps: Int = 1) throws {
    let whole = try harness.run(steps: steps)
    for cut in harness.cuts {
      let parts = try harness.run(shares: cut, steps: steps)
      let place: Comment = "\(comment), shares \(cut)"
      #expect(relativeDifference(parts.y, whole.y, floor: 1e-12) < 1e-6, place)
      #expect(parts.rows == whole.rows && parts.columns == whole.columns, place)
      #expect(relativeDifference(parts.dx, whole.dx, floor: 1e-12) < 1e-6, place)
      #expect(
        relativeDifference(parts.parameterGradients, whole.parameterGradients, floor: 1e-6) < 1e-6, place)
      for categories in parts.categories { #expect(categories == whole.categories[0], place) }
      for (name, values) in whole.states {
        #expect(relativeDifference(parts.states[name] ?? [], values, floor: 1e-12) < 1e-11, place)
      }
      for report in parts.reports {
        #expect(abs(report.lambda - whole.reports[0].lambda) <= 1e-12 * abs(whole.reports[0].lambda), place)
        #expect(report.scoreScale == parts.reports[0].scoreScale, place)
        #expect(report.gradientRatio == parts.reports[0].gradientRatio, place)
        if let ratio = report.gradientRatio, let expected = whole.reports[0].gradientRatio {
          #expect(abs(ratio - expected) <= 1e-6 * expected, place)
        }
        #expect(report.filtersPerCategory == whole.reports[0].filtersPerCategory, place)
        #expect(report.terms?.loss == parts.reports[0].terms?.loss, place)
        if let loss = report.terms?.loss, let expected = whole.reports[0].terms?.loss {
          #expect(abs(loss - expected) < 1e-11, place)
        }
      }
    }
  }

  @Test("scaled scores and gradients, over several steps", arguments: PaperCase.all)
  func scaled(_ paperCase: PaperCase) throws {
    for gradient in [InterpretableOptions.FilterGradient.singleTerm, .exact, .exactConstantZ] {
      var harness = paperCase.scaledHarness
      harness.options.filterGradient = gradient
      try expectEqual(harness, "\(gradient), first step", steps: 1)
      try expectEqual(harness, "\(gradient), third step", steps: 3)
      harness.options.maskScale = .none
      try expectEqual(harness, "\(gradient), no mask, third step", steps: 3)
    }
  }

  private static let golden: [String] = GoldenTests.files.map(\.lastPathComponent)

  @Test("golden cases of the paper", arguments: golden.filter { $0.hasPrefix("paper_layer") })
  func paperGolden(_ name: String) throws {
    var harness = try GoldenPaper.harness(GoldenCase(GoldenTests.folder.appendingPathComponent(name)))
    for gradient in [InterpretableOptions.FilterGradient.singleTerm, .exact, .exactConstantZ] {
      harness.options.filterGradient = gradient
      try expectEqual(harness, "\(gradient)")
    }
  }

  @Test("golden cases of the released code", arguments: golden.filter { $0.hasPrefix("released_conv_mask") })
  func releasedGolden(_ name: String) throws {
    var harness = try GoldenReleased.harness(GoldenCase(GoldenTests.folder.appendingPathComponent(name)))
    for corrected in [false, true] {
      harness.options.formulation = .released(corrected: corrected)
      try expectEqual(harness, "corrected: \(corrected)")
    }
  }

  @Test("golden trainings", arguments: golden.filter { $0.hasPrefix("released_training") })
  func trainingGolden(_ name: String) throws {
    let golden = try GoldenCase(GoldenTests.folder.appendingPathComponent(name))
    let whole = try GoldenTraining.train(golden, ranks: 1)[0]
    // Three ranks: some hold no image of the last, shorter batch.
    for ranks in [2, 3] {
      let parts = try GoldenTraining.train(golden, ranks: ranks)
      for weights in parts {
        let worst = zip(weights, whole).map { abs($0 - $1) }.max() ?? .infinity
        #expect(worst < 1e-5, "\(ranks) ranks")
      }
    }
  }

  @Test("random batches, several classes", arguments: 1...6)
  func randomBatches(_ seed: Int) throws {
    var random = RandomSource(seed: UInt64(seed), purpose: .test)
    let images = 1 + random.index(below: 9)
    let shape = Shape(
      batch: images, channels: 1 + random.index(below: 40), height: 1 + random.index(below: 6),
      width: 1 + random.index(below: 6))
    let x = (0..<images * shape.features).map { _ in max(0, random.uniform(-10, 20)) }
    let classCount = 2 + random.index(below: 3)
    var harness = MaskHarness(
      shape: shape, x: x, upstream: x.map { _ in random.uniform(-1, 1) * 1e-3 },
      classes: (0..<images).map { _ in random.index(below: classCount) }, classCount: classCount)
    harness.labelShares = Array(repeating: 1 / Double(classCount), count: classCount)
    for normalizer in [InterpretableOptions.Normalizer.batch, .running] {
      harness.options.normalizer = normalizer
      try expectEqual(harness, "\(normalizer)")
    }
    let square = Shape(batch: images, channels: shape.channels, height: shape.height, width: shape.height)
    harness.shape = square
    harness.x = (0..<images * square.features).map { _ in max(0, random.uniform(-1, 2)) }
    harness.upstream = harness.x.map { _ in random.uniform(-1, 1) * 1e-6 }
    harness.options.formulation = .released(corrected: false)
    try expectEqual(harness, "released")
  }

  @Test("the released code's batch order matters to the literal normaliser, not to the corrected one")
  func orderDependence() throws {
    var random = RandomSource(seed: 11, purpose: .test)
    let shape = Shape(batch: 5, channels: 3, height: 6, width: 6)
    let x = (0..<shape.batch * shape.features).map { _ in max(0, random.uniform(-20, 10)) }
    var harness = MaskHarness(
      shape: shape, x: x, upstream: x.map { _ in 0 }, classes: [0, 0, 1, 0, 1], classCount: 2,
      signs: [1, 1, -1, 1, -1])
    let features = harness.shape.features
    let labels = harness.labels
    let signs = try #require(harness.signs)
    let order = [1, 0] + Array(2..<harness.shape.batch)
    var swapped = harness
    swapped.x = order.flatMap { harness.x[$0 * features..<($0 + 1) * features] }
    swapped.signs = order.flatMap { signs[$0 * labels..<($0 + 1) * labels] }
    func difference(corrected: Bool) throws -> Double {
      harness.options.formulation = .released(corrected: corrected)
      swapped.options = harness.options
      let straight = try harness.run().dx
      return relativeDifference(
        try swapped.run().dx, order.flatMap { straight[$0 * features..<($0 + 1) * features] })
    }
    #expect(try difference(corrected: false) > 1e-3)
    #expect(try difference(corrected: true) < 1e-6)
  }

  @Test(
    "a forward without a backward leaves nothing under way",
    arguments: InterpretableOptions.Formulation.allCases)
  func forwardTwice(_ formulation: InterpretableOptions.Formulation) throws {
    var harness = PaperCase.all[0].harness
    harness.labelShares = [0.5, 0.5]
    harness.options.formulation = formulation
    let whole = try harness.run()
    let size = harness.shape.batch
    let shared = harness
    let parts = try ThreadedStatistics.run(2) { rank, exchange in
      let (layer, store) = shared.makeLayer()
      let context = StepContext(exchange: exchange)
      let (first, count) = rank == 0 ? (0, 2) : (2, size - 2)
      shared.fill(context, first: first, count: count)
      let x = Tensor(shared.shape.with(batch: count), .blocked)
      _ = try layer.forward(x, context)
      let outcome = try withExtendedLifetime(store) {
        try shared.step(layer, context, first: first, count: count)
      }
      // Both forwards' reductions were awaited: nothing is left for the exchange to hold.
      return (outcome.dx, ThreadedStatistics.pendingCount(exchange))
    }
    #expect(relativeDifference(parts.flatMap(\.0), whole.dx) < 1e-6)
    #expect(parts.allSatisfy { $0.1 == 0 })
  }

  @Test("the number of threads changes no bit")
  func threadCountChangesNothing() throws {
    var harness = PaperCase.all[1].harness
    harness.options.filterGradient = .exact
    for set in InstructionSet.available {
      let one = try withKernels(set, threads: 1) { try harness.run() }
      let three = try withKernels(set, threads: 3) { try harness.run() }
      #expect(one.dx == three.dx && one.logNormalizers == three.logNormalizers, "\(set)")
      #expect(one.termsPerFilter == three.termsPerFilter, "\(set)")
    }
  }
}
