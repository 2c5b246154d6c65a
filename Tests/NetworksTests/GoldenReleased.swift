import Tensors
import TestSupport
import Testing

@testable import Networks

/// Golden cases of the released formulation.
enum GoldenReleased {
  /// The case's batch; gradients of the layer are means over it, those of the files sums.
  static func harness(_ golden: GoldenCase) throws -> MaskHarness {
    let x = try golden.tensor("input", "x")
    let labels = try golden.tensor("input", "labels")
    let types = try golden.tensor("input", "filter_type")
    let decay = try golden.tensor("input", "mask_weight").floats
    let magnitudes = golden.optionalTensor("input", "slice_mag")
    var options = InterpretableOptions()
    options.formulation = .released(corrected: false)
    options.weight = try golden.number("params", "mag")
    options.releasedAlpha = try golden.number("params", "alpha")
    options.releasedFactor = try golden.number("params", "factor")
    return MaskHarness(
      shape: Shape(batch: x.shape[0], channels: x.shape[1], height: x.shape[2], width: x.shape[3]),
      x: x.floats, upstream: Array(repeating: 0, count: x.values.count),
      classes: Array(repeating: 0, count: x.shape[0]), classCount: labels.shape[1], signs: labels.floats,
      labelShares: try golden.tensor("input", "density").values, options: options,
      filterTypes: types.values.map { UInt8($0) }, epoch: Int(try golden.number("params", "iter")),
      prepare: { layer in
        guard let released = layer.filterLoss as? ReleasedFilterLoss else { return }
        released.decay.importValues(decay)
        if let magnitudes {
          _ = released.peaks.values.update(fromContentsOf: magnitudes.values)
          released.hasPeaks.values[0] = 1
        }
      })
  }

  /// What the files call the block whose gradients an overflow-free implementation must match.
  static func gradientBlock(_ golden: GoldenCase) -> String {
    golden.value("overflow_free_f64") != nil ? "overflow_free_f64" : "expected_f64"
  }

  static func tolerance(_ golden: GoldenCase, _ key: String) -> Double {
    // The overflow cases state how far the authors' Float run is from the formula: no measure for this one.
    guard golden.value("overflow_free_f64") == nil else { return goldenTolerance }
    return 10 * (golden.value("f32_vs_f64_max_relative_difference", key)?.number ?? 0) + goldenTolerance
  }

  static func checkMask(_ golden: GoldenCase) throws {
    let harness = try harness(golden)
    let outcome = try harness.run()
    #expect(outcome.rows.map { Double($0) } == (try golden.tensor("expected_f64", "mu_row").values))
    #expect(outcome.columns.map { Double($0) } == (try golden.tensor("expected_f64", "mu_col").values))
    let deviations = try golden.tensor("expected_f64", "sqrtvar").values
    #expect(relativeDifference(outcome.deviations, deviations) < tolerance(golden, "sqrtvar"))
    let mask = try golden.tensor("expected_f32", "mask").values
    let masked = zip(harness.x, mask).map { max(Double($0) * $1, 0) }
    #expect(relativeDifference(outcome.y, masked, floor: 1e-30) < goldenTolerance)

    let images = Double(harness.shape.batch)
    let gradients = outcome.dx.map { Double($0) * images }
    let expected = try golden.tensor(gradientBlock(golden), "dx_filter_only").values
    #expect(relativeDifference(gradients, expected) < tolerance(golden, "dx_filter"))
    let decay = outcome.parameterGradients.map { Double($0) * images }
    #expect(
      relativeDifference(decay, try golden.tensor("expected_f64", "dmask_weight").values)
        < tolerance(golden, "dw3"))
    let magnitudes = try #require(outcome.states["mask.peak_magnitudes"])
    #expect(
      relativeDifference(magnitudes, try golden.tensor("expected_f64", "slice_mag_after").values)
        < goldenTolerance)
  }

  /// The masked convolution as a whole: the mask and the convolution above it.
  static func checkConvolution(_ golden: GoldenCase) throws {
    let harness = try harness(golden)
    let weights = try golden.tensor("input", "conv_weight")
    let convolution = Convolution(
      "conv",
      ConvolutionGeometry(
        inputChannels: weights.shape[1], outputChannels: weights.shape[0], kernel: weights.shape[2],
        stride: Int(try golden.number("params", "stride")), padding: Int(try golden.number("params", "pad"))))
    let mask = InterpretableMask(
      "mask", shape: harness.shape, categories: harness.classCount, outputs: harness.labels,
      options: harness.options, filterTypes: harness.filterTypes)
    let store = ParameterStore(mask.parameters + convolution.parameters)
    harness.prepare(mask)
    convolution.weights.importValues(weights.floats)
    convolution.bias?.importValues(try golden.tensor("input", "conv_bias").floats)
    let context = StepContext()
    harness.fill(context, first: 0, count: harness.shape.batch)
    let images = Double(harness.shape.batch)
    let x = Tensor(harness.shape, .blocked)
    x.fill(from: harness.x)
    let y = convolution.forward(try mask.forward(x, context), context)
    func expect(_ values: [Float], times factor: Double, _ name: String, _ key: String) throws {
      // dx_total is in Float only where the case is large, and absent where the authors' Float run stops.
      guard
        let expected = golden.optionalTensor("expected_f64", name)
          ?? golden.optionalTensor("expected_f32", name)
      else { return }
      #expect(
        relativeDifference(values.map { Double($0) * factor }, expected.values, floor: 1e-30)
          < tolerance(golden, key), "\(name)")
    }
    try expect(y.toArray(), times: 1, "conv_out", "sqrtvar")
    // The files' gradients are sums over the batch, those of a training step belong to means.
    let dy = Tensor(y.shape, .blocked)
    dy.fill(from: try golden.tensor("input", "upstream_grad").values.map { Float($0 / images) })
    let dMasked = try #require(convolution.backward(dy, context))
    let dx = try #require(try mask.backward(dMasked, context))
    try expect(dx.toArray(), times: images, "dx_total", "dx_total")
    try expect(convolution.weights.exportGradients(), times: images, "dconv_weight", "dx_total")
    try expect(convolution.bias?.exportGradients() ?? [], times: images, "dconv_bias", "dx_total")
    withExtendedLifetime(store) {}
  }
}
