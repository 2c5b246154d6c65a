import Foundation
import Tensors
import TestSupport
import Testing

@testable import Networks

/// Shapes that the paper's formulation must handle.
struct PaperCase: Sendable, CustomTestStringConvertible {
  var images: Int
  var filters: Int
  var height: Int, width: Int
  var amplitude: Float
  var beta = 4.0

  var testDescription: String { "\(images)×\(filters)×\(height)×\(width), amplitude \(amplitude), β \(beta)" }

  static let all = [
    PaperCase(images: 5, filters: 3, height: 5, width: 5, amplitude: 30),
    PaperCase(images: 4, filters: 17, height: 3, width: 3, amplitude: 5),
    PaperCase(images: 6, filters: 2, height: 7, width: 7, amplitude: 60),
    PaperCase(images: 3, filters: 2, height: 4, width: 6, amplitude: 20),
    PaperCase(images: 3, filters: 2, height: 5, width: 2, amplitude: 20, beta: 3),
    PaperCase(images: 4, filters: 2, height: 6, width: 6, amplitude: 20, beta: 0.5),
    PaperCase(images: 3, filters: 1, height: 1, width: 1, amplitude: 2),
  ]

  /// A batch of two classes; filters belong to category 0.
  var harness: MaskHarness {
    let shape = Shape(batch: images, channels: filters, height: height, width: width)
    var random = RandomSource(seed: 5, purpose: .test, UInt64(images), UInt64(height))
    let x = (0..<images * shape.features).map { _ in max(0, random.uniform(-0.5, 1) * amplitude) }
    let upstream = x.map { _ in random.uniform(-1, 1) }
    var harness = MaskHarness(
      shape: shape, x: x, upstream: upstream, classes: (0..<images).map { $0 % 2 }, classCount: 2,
      ownedCategories: 1)
    harness.options.beta = beta
    return harness
  }

  /// The maps of one filter.
  func maps(_ values: [Float], _ filter: Int) -> [Double] {
    (0..<images).flatMap { n in
      (0..<height * width).map { Double(values[(n * filters + filter) * height * width + $0]) }
    }
  }

  var oracle: PaperOracle { PaperOracle(images: images, height: height, width: width, beta: beta) }
}

/// One rank; counts the reductions.
private final class CountingStatistics: StatisticsExchange {
  var started = 0

  func start(_ values: UnsafeMutableBufferPointer<Double>, _ operation: StatisticsOperation)
    -> StatisticsTicket
  {
    started += 1
    return StatisticsTicket(number: started)
  }

  func finish(_ ticket: StatisticsTicket) {}
}

@Suite("paper filter loss")
struct PaperFilterLossTests {
  @Test("loss and its terms match the loops", arguments: PaperCase.all)
  func lossMatchesOracle(_ paperCase: PaperCase) throws {
    let harness = paperCase.harness
    let outcome = try harness.run()
    for filter in 0..<paperCase.filters {
      let x = paperCase.maps(harness.x, filter)
      let loss = paperCase.oracle.loss(x)
      let terms = paperCase.oracle.terms(x)
      #expect(abs(outcome.termsPerFilter[0][filter] - loss) < 1e-9 * abs(loss) + 1e-13)
      #expect(abs(outcome.termsPerFilter[1][filter] - terms.interCategory) < 1e-9)
      #expect(abs(outcome.termsPerFilter[2][filter] - terms.spatial) < 1e-9)
      #expect(abs(terms.prior + terms.interCategory + terms.spatial - loss) < 1e-12)
    }
    let terms = try #require(outcome.reports[0].terms)
    let mean = outcome.termsPerFilter[0].reduce(0, +) / Double(paperCase.filters)
    #expect(abs(terms.loss - mean) < 1e-15 && terms.loss < 0)
    #expect(
      abs(outcome.reports[0].weightedLoss - outcome.reports[0].lambda * mean * Double(paperCase.filters))
        < 1e-12)
  }

  @Test(
    "gradients match the loops", arguments: PaperCase.all, [InterpretableOptions.MaskScale.unit, .none])
  func gradientsMatchOracle(_ paperCase: PaperCase, _ maskScale: InterpretableOptions.MaskScale) throws {
    var harness = paperCase.harness
    harness.options.maskScale = maskScale
    let oracle = paperCase.oracle
    harness.upstream = harness.upstream.map { _ in 0 }
    for gradient in [InterpretableOptions.FilterGradient.singleTerm, .exactConstantZ] {
      harness.options.filterGradient = gradient
      let outcome = try harness.run()
      for filter in 0..<paperCase.filters {
        let x = paperCase.maps(harness.x, filter)
        let expected =
          gradient == .singleTerm
          ? oracle.singleTermGradient(x, isOwn: harness.classes.map { $0 == 0 })
          : oracle.gradientWithConstantZ(x)
        let scaled = expected.map { $0 * outcome.reports[0].lambda }
        #expect(relativeDifference(paperCase.maps(outcome.dx, filter), scaled, floor: 1e-12) < 2e-6)
      }
    }
  }

  @Test("exact gradient matches finite differences of the loss", arguments: PaperCase.all)
  func exactGradientMatchesDifferences(_ paperCase: PaperCase) throws {
    var harness = paperCase.harness
    harness.upstream = harness.upstream.map { _ in 0 }
    harness.options.filterGradient = .exact
    let outcome = try harness.run()
    for filter in 0..<paperCase.filters {
      let x = paperCase.maps(harness.x, filter)
      let step = 1e-3 * Double(paperCase.amplitude)
      let expected = x.indices.map { index in
        var above = x
        var below = x
        above[index] += step
        below[index] -= step
        return (paperCase.oracle.loss(above) - paperCase.oracle.loss(below)) / (2 * step)
          * outcome.reports[0].lambda
      }
      #expect(relativeDifference(paperCase.maps(outcome.dx, filter), expected, floor: 1e-9) < 1e-4)
    }
  }

  @Test("the mask passes the gradient of max(x ∘ mask, 0), held fixed", arguments: PaperCase.all)
  func maskBackwardMatchesLoops(_ paperCase: PaperCase) throws {
    var harness = paperCase.harness
    harness.options.filterLossEnabled = false
    for scale in [InterpretableOptions.MaskScale.unit, .tau, .none] {
      harness.options.maskScale = scale
      let outcome = try harness.run()
      for filter in 0..<paperCase.filters {
        let x = paperCase.maps(harness.x, filter)
        let dy = paperCase.maps(harness.upstream, filter)
        let cells = paperCase.height * paperCase.width
        var y: [Double] = []
        var dx: [Double] = []
        for n in 0..<paperCase.images {
          var peak = 0
          for cell in 0..<cells where x[n * cells + cell] > x[n * cells + peak] { peak = cell }
          for cell in 0..<cells {
            let template =
              scale == .none
              ? 1
              : paperCase.oracle.template(peak, cell / paperCase.width, cell % paperCase.width)
                / (scale == .unit ? paperCase.oracle.tau : 1)
            let masked = x[n * cells + cell] * template
            y.append(max(masked, 0))
            dx.append(masked > 0 ? dy[n * cells + cell] * template : 0)
          }
        }
        #expect(relativeDifference(paperCase.maps(outcome.y, filter), y, floor: 1e-6) < 1e-6)
        #expect(relativeDifference(paperCase.maps(outcome.dx, filter), dx, floor: 1e-6) < 1e-6)
      }
    }
  }

  @Test("without masks, programs that take the network over are told of none")
  func formWithoutMasks() {
    var harness = PaperCase.all[0].harness
    let (masked, masks) = harness.makeLayer()
    #expect(masked.form.slopes == [4, 4, 4])
    harness.options.maskScale = .none
    let (unmasked, none) = harness.makeLayer()
    #expect(unmasked.form.slopes == [0, 0, 0] && unmasked.form.scale == 1)
    withExtendedLifetime((masks, none)) {}
  }

  @Test("λ = weight / t · mean over all maps of max x")
  func lambdaFollowsEpochAndActivation() throws {
    var harness = PaperCase.all[0].harness
    harness.options.weight = 3
    harness.epoch = 4
    let cells = harness.shape.cells
    let maxima = stride(from: 0, to: harness.x.count, by: cells).map {
      Double(harness.x[$0..<$0 + cells].max() ?? 0)
    }
    let mean = maxima.reduce(0, +) / Double(maxima.count)
    let report = try harness.run().reports[0]
    #expect(abs(report.lambda - 3.0 / 4 * mean) < 1e-9 * mean)
    #expect(abs(report.meanMaximum - mean) < 1e-9 * mean)
  }

  @Test("running normaliser: the first batch sets it, later ones enter with the share of one batch")
  func runningNormalizerAverages() throws {
    var harness = PaperCase.all[0].harness
    harness.options.normalizer = .running
    harness.batchesPerEpoch = 7
    let (layer, store) = harness.makeLayer()
    let context = StepContext()
    try withExtendedLifetime(store) {
      let first = try harness.step(layer, context, first: 0, count: harness.shape.batch)
      var second = harness
      second.x = harness.x.map { $0 * 1.5 }
      let averaged = try second.step(layer, context, first: 0, count: harness.shape.batch)
      second.options.normalizer = .batch
      let alone = try second.run()
      let share = 1 - exp(-1.0 / 7)
      for index in first.logNormalizers.indices {
        let expected = log(
          (1 - share) * exp(first.logNormalizers[index]) + share * exp(alone.logNormalizers[index]))
        #expect(abs(averaged.logNormalizers[index] - expected) < 1e-10)
      }
    }
    #expect(layer.states.contains { $0.name == "mask.log_normalizer_seen" && $0.values[0] == 1 })
  }

  @Test("evaluation masks, and changes no statistics")
  func evaluationChangesNothing() throws {
    var harness = PaperCase.all[0].harness
    let (layer, store) = harness.makeLayer()
    let exchange = CountingStatistics()
    let context = StepContext(exchange: exchange)
    try withKernels(.portable) {
      let trained = try harness.step(layer, context, first: 0, count: harness.shape.batch)
      let reductions = exchange.started
      #expect(reductions > 0)
      harness.isTraining = false
      let evaluated = try harness.step(layer, context, first: 0, count: harness.shape.batch)
      #expect(evaluated.y == trained.y && evaluated.dx.isEmpty)
      #expect(exchange.started == reductions)
      for state in layer.states { #expect(trained.states[state.name] == Array(state.values)) }
    }
    withExtendedLifetime(store) {}
  }

  @Test("a layer with restored states continues exactly")
  func statesResume() throws {
    var harness = PaperCase.all[0].harness
    harness.options.normalizer = .running
    harness.batchesPerEpoch = 1
    harness.ownedCategories = 2
    let images = harness.shape.batch
    let (layer, store) = harness.makeLayer()
    let (resumed, resumedStore) = harness.makeLayer()
    let context = StepContext()
    try withKernels(.portable) {
      _ = try harness.step(layer, context, first: 0, count: images)
      for (from, to) in zip(layer.states, resumed.states) {
        #expect(from.name == to.name && from.shape == to.shape)
        _ = to.values.update(fromContentsOf: from.values)
      }
      // The classes change places, and with them most filters' categories.
      harness.classes = harness.classes.map { 1 - $0 }
      let one = try harness.step(layer, context, first: 0, count: images)
      let other = try harness.step(resumed, context, first: 0, count: images)
      #expect(one.dx == other.dx)
      #expect(one.categories == other.categories)
      #expect(one.states == other.states)
      #expect(one.reports[0].changedFilters > 0)
      #expect(one.reports[0].changedFilters == other.reports[0].changedFilters)
    }
    withExtendedLifetime((store, resumedStore)) {}
  }
}
