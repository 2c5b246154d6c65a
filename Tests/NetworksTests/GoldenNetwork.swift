import Tensors
import TestSupport
import Testing

@testable import Networks

/// One training step of a narrow network against PyTorch in Double: `Benchmarks/peer/golden_networks.py`.
enum GoldenNetwork {
  /// Numbers of [-1, 1) of a stream; the script's `noise`.
  static func noise(_ stream: Int, _ count: Int) -> [Double] {
    (0..<count).map { index in
      var h = UInt32(truncatingIfNeeded: UInt64(index + 1) * 2_654_435_761 + UInt64(stream) * 2_654_404_609)
      h ^= h >> 16
      h = h &* 0x45D9F3B
      h ^= h >> 16
      return Double(h) / 0x1p31 - 1
    }
  }

  /// Norm, and product with noise.
  static func digest(_ values: [Double]) -> (norm: Double, product: Double) {
    let product = zip(values, noise(7, values.count)).reduce(0) { $0 + $1.0 * $1.1 }
    return (values.reduce(0) { $0 + $1 * $1 }.squareRoot(), product)
  }

  static func build(_ golden: GoldenCase) throws -> Network {
    let architecture = try #require(Architecture.named(golden.value("name")?.string ?? ""))
    var options = NetworkOptions(
      outputs: Int(try golden.number("params", "classes")),
      imageSize: Int(try golden.number("params", "side")))
    options.widthDivisor = Int(try golden.number("params", "divide"))
    options.roundsWidths = false
    let network = architecture.build(options)
    for (index, parameter) in network.store.parameters.enumerated() {
      let drawn = noise(1000 + index, parameter.count).map { Float($0) }
      if parameter.shape.count > 1 {
        let fanIn = Double(parameter.count / parameter.shape[0])
        let scale = Float((6 / fanIn).squareRoot())
        parameter.importValues(drawn.map { $0 * scale })
      } else {
        let isScale = parameter.initializer == .constant(1)
        parameter.importValues(drawn.map { (isScale ? 1 : 0) + 0.25 * $0 })
      }
    }
    return network
  }

  static func check(_ golden: GoldenCase) throws {
    let network = try build(golden)
    let batch = Int(try golden.number("params", "batch"))
    let classes = network.outputs
    let images = Tensor(network.inputShape.with(batch: batch), .interleaved)
    images.fill(from: noise(1, batch * network.inputShape.features).map { Float($0) })
    let context = StepContext()
    context.globalBatchSize = batch
    context.categories = (0..<batch).map { Int32($0 % classes) }
    context.categoryCount = classes
    context.sampleKeys = Array(0..<UInt64(batch))

    network.store.zeroGradients()
    let logits = try network.forward(images, context)
    expectClose(
      logits.toArray().map(Double.init), try golden.tensor("expected", "logits").values, 1e-4, "logits")
    let result = SoftmaxCrossEntropy().evaluate(logits, context)
    let loss = try golden.number("expected", "loss")
    #expect(abs(result.sum / Double(batch) - loss) < 1e-4 * loss)
    try network.backward(try #require(result.gradient), context) { _ in }

    // Rounding of Float, grown on its way through the layers: more than PyTorch's own difference from Double.
    let tolerance = max(2e-3, 3 * (try golden.number("params", "float_deviation")))
    for parameter in network.store.parameters {
      let expected = try golden.tensor("expected", "gradients", parameter.name).values
      let found = digest(parameter.exportGradients().map(Double.init))
      #expect(abs(found.norm - expected[0]) < tolerance * expected[0], "norm of d \(parameter.name)")
      #expect(abs(found.product - expected[1]) < tolerance * expected[0], "d \(parameter.name)")
    }
    #expect(golden.value("expected", "gradients")?.memberCount == network.store.parameters.count)
    for state in network.states {
      let expected = try golden.tensor("expected", "states", state.name).values
      let found = digest(Array(state.values))
      #expect(abs(found.norm - expected[0]) < 1e-4 * expected[0], "norm of \(state.name)")
      #expect(abs(found.product - expected[1]) < 1e-4 * expected[0], "\(state.name)")
    }
    #expect(golden.value("expected", "states")?.memberCount == network.states.count)

    context.mode = .evaluation
    expectClose(
      try network.forward(images, context).toArray().map(Double.init),
      try golden.tensor("expected", "evaluated_logits").values, 1e-4, "logits of an evaluation")
  }

  private static func expectClose(
    _ found: [Double], _ expected: [Double], _ tolerance: Double, _ what: Comment
  ) {
    let scale = expected.reduce(0) { max($0, abs($1)) }
    #expect(found.count == expected.count, what)
    for (one, other) in zip(found, expected) { #expect(abs(one - other) <= tolerance * scale, what) }
  }
}
