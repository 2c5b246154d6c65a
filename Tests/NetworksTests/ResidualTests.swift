import Tensors
import TestSupport
import Testing

@testable import Networks

@Suite("Residual") struct ResidualTests {
  /// 20 channels to 20, or to 24 with half the extent: no multiples of 16.
  private static func block(identity: Bool, synchronized: Bool = true) -> Residual {
    let (outputs, stride) = identity ? (20, 1) : (24, 2)
    func convolution(_ name: String, _ inputs: Int, kernel: Int, stride: Int) -> Convolution {
      Convolution(
        "block.\(name)",
        ConvolutionGeometry(
          inputChannels: inputs, outputChannels: outputs, kernel: kernel, stride: stride,
          padding: kernel / 2), bias: false)
    }
    func normalization(_ name: String) -> BatchNormalization {
      BatchNormalization("block.\(name)", channels: outputs, synchronized: synchronized)
    }
    let block = Residual(
      "block",
      body: [
        convolution("conv1", 20, kernel: 3, stride: stride), normalization("bn1"), ReLU("block.relu1"),
        convolution("conv2", outputs, kernel: 3, stride: 1), normalization("bn2"),
      ],
      shortcut: identity
        ? [] : [convolution("downsample.0", 20, kernel: 1, stride: stride), normalization("downsample.1")])
    for parameter in block.parameters where parameter.shape.count > 1 { parameter.initializer = .heNormal }
    return block
  }

  private static func images(_ batch: Int, first: Int = 0) -> Tensor {
    let shape = Shape(batch: batch, channels: 20, height: 5, width: 5)
    let x = Tensor(shape, .blocked)
    x.fill(
      from: (0..<batch).flatMap { n in
        var random = RandomSource(seed: 4, purpose: .test, UInt64(first + n))
        return (0..<shape.features).map { _ in random.uniform(-1, 1) }
      })
    return x
  }

  /// The running statistics make the block piecewise linear, so a difference of Floats is exact enough.
  @Test("backward is the derivative of forward", arguments: [true, false], [true, false])
  func derivative(identity: Bool, batchStatistics: Bool) throws {
    let block = Self.block(identity: identity)
    let store = ParameterStore(block.parameters)
    store.initialize(seed: 2)
    let context = StepContext()
    context.mode = batchStatistics ? .training : .attribution
    // A wrong sum would be off by parts of the whole; batch statistics bend the function within a step.
    var check = GradientCheck()
    check.step = batchStatistics ? 3e-3 : 1e-2
    check.tolerance = batchStatistics ? 3e-2 : 1e-2
    check.skipsKinks = true
    let report = try check.run(block, Self.images(3), context)
    #expect(report.mismatches.isEmpty && report.checked > 100, "\(report.mismatches)")
    withExtendedLifetime(store) {}
  }

  @Test("the sum of both paths, rectified, by the parts themselves", arguments: [true, false])
  func sum(identity: Bool) throws {
    let (block, other) = (Self.block(identity: identity), Self.block(identity: identity))
    let stores = [block, other].map { ParameterStore($0.parameters) }
    for store in stores { store.initialize(seed: 3) }
    let context = StepContext()
    let y = try block.forward(Self.images(3), context).toArray()
    var paths: [[Float]] = []
    for path in [other.body, other.shortcut] {
      paths.append(try path.reduce(Self.images(3)) { try $1.forward($0, context) }.toArray())
    }
    #expect(y == zip(paths[0], paths[1]).map { max($0 + $1, 0) })
    #expect(y.contains(0) && y.contains { $0 > 1 })
    withExtendedLifetime(stores) {}
  }

  /// y, dx, gradients summed over ranks, running statistics: for shares of six images.
  private static func step(shares: [Int], synchronized: Bool) throws -> [[Float]] {
    let parts = try ThreadedStatistics.run(shares.count) { rank, exchange in
      let block = block(identity: false, synchronized: synchronized)
      let store = ParameterStore(block.parameters)
      store.initialize(seed: 5)
      let context = StepContext(exchange: exchange)
      let first = shares[..<rank].reduce(0, +)
      let y = try block.forward(images(shares[rank], first: first), context)
      let dy = Tensor(y.shape, .blocked)
      dy.fill(
        from: (0..<shares[rank]).flatMap { n in
          var random = RandomSource(seed: 9, purpose: .test, UInt64(first + n))
          return (0..<y.shape.features).map { _ in random.uniform(-1, 1) }
        })
      let outputs = y.toArray()
      let dx = try #require(try block.backward(dy, context)).toArray()
      let gradients = block.parameters.flatMap { $0.exportGradients() }
      let states = block.states.flatMap { $0.values.map { Float($0) } }
      return withExtendedLifetime(store) { [outputs, dx, gradients, states] }
    }
    let gradients = parts[0][2].indices.map { index in parts.reduce(0) { $0 + $1[2][index] } }
    return [parts.flatMap { $0[0] }, parts.flatMap { $0[1] }, gradients, parts[0][3]]
  }

  @Test("ranks with shares compute what one rank does", arguments: [[3, 3], [1, 3, 2], [2, 0, 1, 3]])
  func ranks(shares: [Int]) throws {
    let whole = try Self.step(shares: [6], synchronized: true)
    let cut = try Self.step(shares: shares, synchronized: true)
    for (one, other) in zip(whole, cut) {
      let scale = one.reduce(0) { max($0, abs($1)) }
      #expect(one.count == other.count && zip(one, other).allSatisfy { abs($0 - $1) < 2e-5 * scale })
    }
    // Statistics of the shares alone make another function.
    let alone = try Self.step(shares: shares, synchronized: false)
    #expect(zip(whole[0], alone[0]).contains { abs($0 - $1) > 0.01 })
  }
}
