import Networks
import Tensors
import Testing

@Suite struct InitializerTests {
  private func draw(_ initializer: Initializer, _ shape: [Int], _ layout: ParameterLayout, seed: UInt64 = 1)
    -> [Float]
  {
    let parameter = Parameter("features.0.weight", shape: shape, layout: layout)
    parameter.initializer = initializer
    let store = ParameterStore([parameter])
    store.initialize(seed: seed)
    let total = store.values.reduce(0) { $0 + Double(abs($1)) }
    let learned = parameter.exportValues().reduce(0) { $0 + Double(abs($1)) }
    #expect(abs(total - learned) <= 1e-9 * learned, "padding must stay zero")
    return parameter.exportValues()
  }

  private func moments(_ values: [Float]) -> (mean: Double, variance: Double, fourth: Double) {
    let n = Double(values.count)
    let mean = values.reduce(0) { $0 + Double($1) } / n
    let variance = values.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / n
    let fourth =
      values.reduce(0) {
        $0 + (Double($1) - mean) * (Double($1) - mean) * (Double($1) - mean) * (Double($1) - mean)
      } / n
    return (mean, variance, fourth / (variance * variance))
  }

  // 20 · 50 · 9 = 9000 values: the variance is known to ± 2 %, the kurtosis to ± 0.06 (one standard deviation).
  @Test(
    "moments are those of the papers",
    arguments: [
      (Initializer.heNormal, 2.0 / 450, 3.0), (.xavierUniform, 2.0 / (450 + 180), 1.8),
      (.normal(standardDeviation: 0.01), 1e-4, 3.0),
    ])
  func drawnMoments(initializer: Initializer, variance: Double, kurtosis: Double) {
    let found = moments(draw(initializer, [20, 50, 3, 3], .plain))
    #expect(abs(found.mean) < 4 * (variance / 9000).squareRoot())
    #expect(abs(found.variance / variance - 1) < 0.08)
    #expect(abs(found.fourth - kurtosis) < 0.3)
  }

  @Test("the layout in memory does not change what is drawn")
  func layouts() {
    let plain = draw(.heNormal, [20, 3, 5, 5], .plain)
    #expect(draw(.heNormal, [20, 3, 5, 5], .blockedWeights) == plain)
    #expect(draw(.heNormal, [20, 3, 5, 5], .interleavedWeights) == plain)
  }

  @Test("seed and name make the stream; other parameters do not")
  func streams() {
    #expect(draw(.heNormal, [4, 4], .plain, seed: 1) != draw(.heNormal, [4, 4], .plain, seed: 2))
    let first = Parameter("a.weight", shape: [7, 3])
    let second = Parameter("b.weight", shape: [7, 3])
    for parameter in [first, second] { parameter.initializer = .heNormal }
    let together = ParameterStore([first, second])
    together.initialize(seed: 5)
    #expect(first.exportValues() != second.exportValues())
    let alone = Parameter("b.weight", shape: [7, 3])
    alone.initializer = .heNormal
    let store = ParameterStore([alone])
    store.initialize(seed: 5)
    #expect(alone.exportValues() == second.exportValues())
  }

  @Test("constants and zeros")
  func constants() {
    #expect(draw(.constant(1), [3], .blockedVector) == [1, 1, 1])
    #expect(draw(.zeros, [3], .plain) == [0, 0, 0])
  }
}
