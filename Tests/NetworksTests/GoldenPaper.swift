import Glibc
import Tensors
import TestSupport
import Testing

@testable import Networks

/// Golden cases of the paper's formulation.
enum GoldenPaper {
  static func checkTemplates(_ golden: GoldenCase) throws {
    let side = Int(try golden.number("params", "n"))
    let bank = TemplateBank(height: side, width: side, beta: try golden.number("params", "beta"))
    #expect(abs(bank.tau - (try golden.number("params", "tau"))) < 1e-15)
    let expected = try golden.tensor("expected", "T_over_tau")
    let indices = golden.optionalTensor("input", "indices")?.integers ?? Array(0..<bank.count)
    let cells = (0..<side).flatMap { i in (0..<side).map { (i, $0) } }
    let values = indices.flatMap { k in cells.map { bank.relativeValue(k, $0.0, $0.1) } }
    #expect(relativeDifference(values, expected.values) < 1e-12)
    if let prior = golden.optionalTensor("expected", "prior") {
      #expect(prior.values.allSatisfy { abs($0 * Double(bank.count) - 1) < 1e-10 })
    }
  }

  /// The case's batch with every filter's category set as the case says: the running class means say so, and no
  /// batch moves them.
  static func harness(_ golden: GoldenCase) throws -> MaskHarness {
    let x = try golden.tensor("input", "x")
    let onehot = try golden.tensor("input", "onehot")
    let classCount = onehot.shape[1]
    let filterCategory = try golden.tensor("input", "filter_category").integers
    var options = InterpretableOptions()
    options.beta = try golden.number("params", "beta")
    let meanMaximum = try golden.number("expected", "mean_max_x_all_filters")
    options.weight = meanMaximum > 0 ? 1 / meanMaximum : 1
    let logZ = golden.optionalTensor("input", "logZ")
    if logZ != nil { options.normalizer = .running }
    let images = x.shape[0]
    return MaskHarness(
      shape: Shape(batch: images, channels: x.shape[1], height: x.shape[2], width: x.shape[3]),
      x: x.floats, upstream: Array(repeating: 0, count: x.values.count),
      classes: classes(onehot), classCount: classCount, options: options, batchesPerEpoch: .max,
      prepare: { layer in
        guard let paper = layer.filterLoss as? PaperFilterLoss else { return }
        for (filter, category) in filterCategory.enumerated() {
          paper.assignment.means.values[filter * classCount + category] = 1
        }
        paper.assignment.seen.values.update(repeating: 1)
        if let logZ {
          paper.setRunningNormalizers(logZ.values.map { $0 - log(Double(images)) })
        }
      })
  }

  static func classes(_ onehot: GoldenTensor) -> [Int] {
    let count = onehot.shape[1]
    return (0..<onehot.shape[0]).map { n in (0..<count).first { onehot.values[n * count + $0] == 1 } ?? 0 }
  }

  static func checkLayer(_ golden: GoldenCase) throws {
    var harness = try harness(golden)
    let outcome = try harness.run()
    let center = try golden.tensor("expected", "mu_hat").values
    #expect(zip(outcome.rows, outcome.columns).flatMap { [Double($0), Double($1)] } == center)
    func expect(_ values: [some BinaryFloatingPoint], _ name: String, floor: Double = goldenFloor) throws {
      let difference = relativeDifference(values, try golden.tensor("expected", name).values, floor: floor)
      #expect(difference < goldenTolerance, "\(name)")
    }
    try expect(outcome.y, "x_masked_unit")
    try expect(outcome.logNormalizers, "logZ")
    try expect(outcome.logLikelihoods, "log_p_x")
    try expect(outcome.termsPerFilter[0], "loss")
    let report = outcome.reports[0]
    let terms = try #require(report.terms)
    #expect(abs(terms.priorEntropy - (try golden.number("expected", "H_T"))) < 1e-10)
    if golden.value("expected", "third_term") != nil {
      try expect(outcome.termsPerFilter[1], "H_Tset_given_X")
      try expect(outcome.termsPerFilter[2], "third_term")
      #expect(
        abs(terms.interCategoryEntropy + terms.spatialEntropy - terms.priorEntropy - terms.loss) < 1e-12)
    }
    try expect([report.meanMaximum], "mean_max_x_all_filters")
    #expect(abs(report.lambda - 1) < 1e-6 || report.meanMaximum == 0)
    #expect(
      outcome.categories[0].map { Int($0) } == (try golden.tensor("input", "filter_category").integers))

    // The files' gradients are those of the loss itself: λ = 1.
    for (gradient, name) in [
      (InterpretableOptions.FilterGradient.singleTerm, "grad_approx"), (.exact, "grad_exact_full"),
      (.exactConstantZ, "grad_exact_Zconst"),
    ] where golden.value("expected", name) != nil {
      harness.options.filterGradient = gradient
      try expect(harness.run().dx, name)
    }
    try checkAssignment(golden, harness)
    harness.options.maskScale = .tau
    harness.options.filterLossEnabled = false
    harness.upstream = try golden.tensor("input", "upstream_wrt_masked_tau").floats
    let masked = try harness.run()
    try expect(masked.y, "x_masked_tau")
    try expect(masked.dx, "dx_from_upstream_tau")
  }

  static func checkCategory(_ golden: GoldenCase) throws {
    let x = try golden.tensor("input", "x")
    let onehot = try golden.tensor("input", "onehot")
    let harness = MaskHarness(
      shape: Shape(batch: x.shape[0], channels: x.shape[1], height: x.shape[2], width: x.shape[3]),
      x: x.floats, upstream: Array(repeating: 0, count: x.values.count), classes: classes(onehot),
      classCount: onehot.shape[1])
    try checkAssignment(golden, harness)
  }

  /// Class means and categories that a fresh layer takes from the batch.
  static func checkAssignment(_ golden: GoldenCase, _ harness: MaskHarness) throws {
    var fresh = harness
    fresh.prepare = { _ in }
    fresh.options.normalizer = .batch
    let outcome = try fresh.run()
    let present = try golden.tensor("expected", "category_present").values
    #expect(outcome.states["mask.category_seen"] == present)
    let means = try #require(outcome.states["mask.category_means"])
    let expected = try golden.tensor("expected", "category_mean").values
    #expect(relativeDifference(means, expected, floor: goldenFloor) < goldenTolerance)
    #expect(
      outcome.categories[0].map { Int($0) } == (try golden.tensor("expected", "category").integers))
  }

  /// Twenty steps along −∂Loss/∂x on x = relu(z).
  static func checkDescent(_ golden: GoldenCase) throws {
    for (gradient, name) in [
      (InterpretableOptions.FilterGradient.singleTerm, "approx"), (.exact, "exact_full"),
      (.exactConstantZ, "exact_Zconst"),
    ] {
      let eta = try golden.number("expected", name, "eta")
      let expected = try golden.tensor("expected", name, "loss")
      let filters = expected.shape[1]
      var z = try golden.tensor("input", "z0").values
      let shape = try golden.tensor("input", "z0").shape
      var losses: [Double] = []
      let onehot = try golden.tensor("input", "onehot")
      var harness = MaskHarness(
        shape: Shape(batch: shape[0], channels: shape[1], height: shape[2], width: shape[3]), x: [],
        upstream: Array(repeating: 0, count: z.count), classes: classes(onehot), classCount: 2,
        batchesPerEpoch: .max,
        prepare: { layer in
          guard let paper = layer.filterLoss as? PaperFilterLoss else { return }
          for filter in 0..<filters { paper.assignment.means.values[filter * 2 + 1] = 1 }
          paper.assignment.seen.values.update(repeating: 1)
        })
      harness.options.filterGradient = gradient
      for _ in 0..<expected.shape[0] {
        harness.x = z.map { Float(max($0, 0)) }
        let outcome = try harness.run()
        losses += outcome.termsPerFilter[0]
        if losses.count == expected.values.count { break }
        let step = eta / outcome.reports[0].lambda
        for index in z.indices where z[index] > 0 { z[index] -= step * Double(outcome.dx[index]) }
      }
      // Rounding x to Float at every step is all that differs.
      #expect(relativeDifference(losses, expected.values) < 1e-5, "\(name)")
      #expect(
        relativeDifference(z, try golden.tensor("expected", name, "z_final").values) < 1e-5, "\(name)")
      for filter in 0..<filters { #expect(losses[losses.count - filters + filter] < losses[filter]) }
    }
  }
}
