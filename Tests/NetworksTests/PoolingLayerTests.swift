import Networks
import Tensors
import TestSupport
import Testing

/// `MaxPooling` and `AveragePooling`; their kernels are tested in `PoolingTests`.
@Suite struct PoolingLayerTests {
  private static let windows = [
    PoolingWindow(kernel: 2, stride: 2), PoolingWindow(kernel: 3, stride: 2, ceilMode: true),
    PoolingWindow(kernel: (3, 3), stride: (2, 2), padding: (0, 0, 1, 1)),
  ]
  private let shape = Shape(batch: 2, channels: 5, height: 6, width: 6)

  /// A shuffled ladder: distinct values 0.1 apart, so that no maximum changes within a step.
  private var distinctValues: [Float] {
    var source = RandomSource(seed: 21, purpose: .test)
    return source.permutation(shape.batch * shape.features).map { Float($0) * 0.1 }
  }

  @Test("gradient of the maximum matches finite differences", arguments: windows)
  func maximum(_ window: PoolingWindow) throws {
    var check = GradientCheck()
    check.tolerance = 1e-3
    check.maximumSamples = 90
    let x = Tensor(shape, .blocked)
    x.fill(from: distinctValues)
    let report = try check.run(MaxPooling("pool", window), x, StepContext())
    #expect(report.passes && report.checked == 90, "\(report.mismatches)")
  }

  @Test("gradient of the average matches finite differences", arguments: windows)
  func average(_ window: PoolingWindow) throws {
    for layer in [
      AveragePooling("pool", window), AveragePooling("pool", window, divisor: .mapCells),
      AveragePooling(global: "pool"),
    ] {
      var check = GradientCheck()
      check.step = 0.1
      check.tolerance = 1e-3
      let report = try check.run(layer, randomTensor(shape, .blocked, seed: 2), StepContext())
      #expect(report.passes && report.checked == 60, "\(report.mismatches)")
    }
  }

  @Test("global average is the mean of each map")
  func global() {
    let x = randomTensor(shape, .blocked, seed: 5)
    let y = AveragePooling(global: "pool").forward(x, StepContext())
    #expect(y.shape == Shape(batch: 2, channels: 5, height: 1, width: 1))
    let values = x.toArray()
    let means = (0..<10).map { map in
      values[map * 36..<(map + 1) * 36].reduce(0) { $0 + Double($1) } / 36
    }
    #expect(relativeDifference(y.toArray(), means) < 1e-6)
  }

  @Test("a smaller batch after a larger one, and none")
  func batches() {
    let layer = MaxPooling("pool", PoolingWindow(kernel: 2, stride: 2))
    let context = StepContext()
    let x = randomTensor(shape, .blocked, seed: 6)
    let large = layer.forward(x, context)
    let first = Array(large.toArray().prefix(45))
    x.setBatch(1)
    let small = layer.forward(x, context)
    #expect(small === large)
    #expect(small.toArray() == first)
    x.setBatch(0)
    let none = layer.forward(x, context)
    #expect(none.shape.batch == 0)
    #expect(layer.backward(none, context)?.shape.batch == 0)
  }
}
