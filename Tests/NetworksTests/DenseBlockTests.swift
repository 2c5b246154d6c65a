import Foundation
import Tensors
import TestSupport
import Testing

@testable import Networks

@Suite("DenseBlock") struct DenseBlockTests {
  /// Channels of the input and what each layer adds.
  struct Widths: Sendable, CustomTestStringConvertible {
    let input: Int, growths: [Int]
    var testDescription: String { "\(input) + \(growths)" }
    /// Slices that begin at whole blocks of 16; a last one that ends within; and slices that share blocks.
    static let all = [
      Widths(input: 32, growths: [16, 32, 16]), Widths(input: 16, growths: [16, 20]),
      Widths(input: 20, growths: [12, 7, 16]), Widths(input: 5, growths: [3]),
    ]
  }

  private static let bottleneck = 12
  private static let (height, width) = (5, 4)

  static func block(_ widths: Widths, synchronized: Bool = true) -> DenseBlock {
    var channels = widths.input
    var layers: [DenseBlock.DenseLayer] = []
    for (index, growth) in widths.growths.enumerated() {
      let name = "block.\(index)"
      let body: [any Layer] = [
        Convolution(
          "\(name).conv1",
          ConvolutionGeometry(inputChannels: channels, outputChannels: bottleneck, kernel: 1), bias: false),
        BatchNormalization("\(name).norm2", channels: bottleneck, synchronized: synchronized),
        ReLU("\(name).relu2"),
        Convolution(
          "\(name).conv2",
          ConvolutionGeometry(inputChannels: bottleneck, outputChannels: growth, kernel: 3, padding: 1),
          bias: false),
      ]
      layers.append((norm: "\(name).norm1", body: body))
      channels += growth
    }
    let block = DenseBlock(
      "block", channels: widths.input, layers: layers, closing: "block.closing", synchronized: synchronized)
    for parameter in block.parameters where parameter.shape.count > 1 { parameter.initializer = .heNormal }
    return block
  }

  /// Random weights, gamma around 1 and beta around 0.
  private static func store(_ block: DenseBlock) -> ParameterStore {
    let store = ParameterStore(block.parameters)
    store.initialize(seed: 2)
    for (index, parameter) in store.parameters.enumerated() where parameter.shape.count == 1 {
      let noise = randomValues(parameter.count, seed: UInt64(index + 50), -0.4, 0.4)
      parameter.importValues(zip(parameter.exportValues(), noise).map(+))
    }
    return store
  }

  private static func images(_ batch: Int, _ channels: Int, first: Int = 0, seed: UInt64 = 4) -> Tensor {
    let x = Tensor(Shape(batch: batch, channels: channels, height: height, width: width), .blocked)
    x.fill(
      from: (0..<batch).flatMap { n in
        var random = RandomSource(seed: seed, purpose: .test, UInt64(first + n))
        return (0..<x.shape.features).map { _ in random.uniform(-1, 1) }
      })
    return x
  }

  // MARK: Against loops

  private static func maps(_ tensor: Tensor) -> DenseOracle.Maps {
    let values = tensor.toArray().map(Double.init)
    let (shape, cells) = (tensor.shape, tensor.shape.cells)
    return (0..<shape.batch).map { n in
      (0..<shape.channels).map { c in
        Array(values[(n * shape.channels + c) * cells..<(n * shape.channels + c + 1) * cells])
      }
    }
  }

  private static func oracle(_ block: DenseBlock, _ widths: Widths) -> DenseOracle {
    let values = block.parameters.map { $0.exportValues().map(Double.init) }
    func normalization(_ index: Int) -> DenseOracle.Normalization {
      DenseOracle.Normalization(gamma: values[index], beta: values[index + 1])
    }
    var channels = widths.input
    var layers:
      [(DenseOracle.Normalization, DenseOracle.Weights, DenseOracle.Normalization, DenseOracle.Weights)] = []
    for (index, growth) in widths.growths.enumerated() {
      let first = 6 * index
      func weights(_ number: Int, _ inputs: Int, _ outputs: Int, _ kernel: Int) -> DenseOracle.Weights {
        DenseOracle.Weights(
          values[first + number], inputs: inputs, outputs: outputs, kernel: kernel, height: height,
          width: width)
      }
      layers.append(
        (
          normalization(first), weights(2, channels, bottleneck, 1), normalization(first + 3),
          weights(5, bottleneck, growth, 3)
        ))
      channels += growth
    }
    return DenseOracle(norms: layers, closing: normalization(6 * widths.growths.count))
  }

  @Test(
    "output, gradients and running statistics match loops over concatenated arrays, on every kernel",
    arguments: Widths.all, [false, true])
  func loops(widths: Widths, isFused: Bool) throws {
    for set in InstructionSet.available {
      try withKernels(set) { try Self.compare(widths, isFused: isFused, "\(set)") }
    }
  }

  private static func compare(_ widths: Widths, isFused: Bool, _ comment: Comment) throws {
    let block = block(widths)
    let store = store(block)
    Network.fuse([block], isFused)
    let context = StepContext()
    let (x, dy) = (images(3, widths.input), images(3, block.channels, seed: 8))
    var oracle = oracle(block, widths)
    let expected = oracle.forward(maps(x)).joined().flatMap { $0 }

    let y = try block.forward(x, context)
    #expect(relativeDifference(y.toArray(), expected) < 1e-5, comment)
    #expect(paddingIsZero(y) && expected.contains(0), comment)
    let dx = try #require(try block.backward(dy, context))
    let expectedDX = oracle.backward(maps(dy)).joined().flatMap { $0 }
    #expect(relativeDifference(dx.toArray(), expectedDX) < 2e-5, comment)
    #expect(paddingIsZero(dx), comment)
    let found = block.parameters.flatMap { $0.exportGradients() }
    #expect(relativeDifference(found, oracle.gradients) < 2e-5, comment)

    let norms = oracle.norms.map(\.0) + [oracle.closing]
    for (layer, norm) in zip(block.parts.compactMap { $0 as? DenseNormalization }, norms) {
      for c in norm.mean.indices {
        #expect(abs(layer.runningMean.values[c] - 0.1 * norm.mean[c]) < 1e-5)
        #expect(abs(layer.runningVariance.values[c] - 0.9 - 0.1 * norm.unbiasedVariance[c]) < 1e-5)
      }
    }
    withExtendedLifetime(store) {}
  }

  /// With running statistics; those of a batch have the loops above. Channels of every normalisation are far above 0, or for
  /// a quarter far below: no ReLU has its kink within a step.
  @Test("backward is the derivative of forward", arguments: Widths.all)
  func derivative(widths: Widths) throws {
    let block = Self.block(widths)
    let store = Self.store(block)
    for parameter in store.parameters where parameter.name.hasSuffix("bias") {
      parameter.importValues((0..<parameter.count).map { $0 % 4 == 1 ? -6 : 6 })
    }
    let context = StepContext()
    let x = Self.images(3, widths.input)
    // Until the running statistics are those of the batch.
    for _ in 0..<80 { _ = try block.forward(x, context) }
    context.mode = .attribution
    let report = try GradientCheck().run(block, x, context)
    #expect(report.mismatches.isEmpty && report.checked > 100, "\(report.mismatches)")
    withExtendedLifetime(store) {}
  }

  // MARK: Ranks

  /// y, dx, gradients summed over ranks, running statistics: of the second of two steps on shares of six images.
  private static func step(_ widths: Widths, shares: [Int], synchronized: Bool) throws -> [[Float]] {
    let parts = try ThreadedStatistics.run(shares.count) { rank, exchange in
      let block = block(widths, synchronized: synchronized)
      let store = store(block)
      let context = StepContext(exchange: exchange)
      let first = shares[..<rank].reduce(0, +)
      let x = images(shares[rank], widths.input, first: first)
      let dy = images(shares[rank], block.channels, first: first, seed: 9)
      _ = try block.forward(x, context)
      let outputs = try block.forward(x, context).toArray()
      let dx = try #require(try block.backward(dy, context)).toArray()
      let gradients = block.parameters.flatMap { $0.exportGradients() }
      let states = block.states.flatMap { $0.values.map { Float($0) } }
      return withExtendedLifetime(store) { [outputs, dx, gradients, states] }
    }
    #expect(parts.allSatisfy { $0[3] == parts[0][3] })
    let gradients = parts[0][2].indices.map { index in parts.reduce(0) { $0 + $1[2][index] } }
    return [parts.flatMap { $0[0] }, parts.flatMap { $0[1] }, gradients, parts[0][3]]
  }

  private static func isClose(_ one: [Float], _ other: [Float]) -> Bool {
    let scale = one.reduce(0) { max($0, abs($1)) }
    return one.count == other.count && zip(one, other).allSatisfy { abs($0 - $1) < 2e-5 * scale }
  }

  @Test(
    "ranks with shares compute what one rank does", arguments: Widths.all,
    [[3, 3], [1, 3, 2], [2, 0, 1, 3]])
  func ranks(widths: Widths, shares: [Int]) throws {
    let whole = try Self.step(widths, shares: [6], synchronized: true)
    let cut = try Self.step(widths, shares: shares, synchronized: true)
    for (one, other) in zip(whole, cut) { #expect(Self.isClose(one, other)) }
    // Statistics of the shares alone make another function; for one rank they are the same.
    let alone = try Self.step(widths, shares: shares, synchronized: false)
    #expect(zip(whole[0], alone[0]).contains { abs($0 - $1) > 0.01 })
    let single = try Self.step(widths, shares: [6], synchronized: false)
    for (one, other) in zip(whole, single) { #expect(Self.isClose(one, other)) }
  }

  /// The first normalisation's running statistics depend on the input alone.
  @Test("statistics of shares normalise, those of the global batch are kept")
  func unsynchronized() throws {
    let widths = Widths.all[0]
    let whole = try Self.step(widths, shares: [6], synchronized: true)
    let alone = try Self.step(widths, shares: [2, 0, 4], synchronized: false)
    #expect(Self.isClose(Array(whole[3][..<64]), Array(alone[3][..<64])))
  }

  // MARK: Memory

  @Test("a normalised concatenation is no life-long guest of the plan")
  func plan() throws {
    let block = Self.block(Widths(input: 32, growths: [16, 16, 16, 16]))
    let shape = Shape(batch: 2, channels: 32, height: 8, width: 8)
    let chain: [any Layer] = [
      block, Convolution("next", ConvolutionGeometry(inputChannels: 96, outputChannels: 16, kernel: 1)),
    ]
    let plan = PassPlan(chain, input: shape, .blocked, hasBackward: true)
    let map = 2 * 64 * 16
    // Kept, in blocks of 16 channels: 4 slices, bottlenecks before and after norm2, the closing output of 6. Then the
    // gradients of all 6, that of the closing output, and of the slice that it completes; x and dx are not the block's.
    let kept = 4 + 4 * 2 + 6
    #expect(plan.places.count >= kept * map)
    // The plan is not the tightest. Had all concatenations been kept, they would be 2 + 3 + 4 + 5 more.
    #expect(plan.places.count <= (kept + 6 + 6 + 1 + 2) * map)
  }
}
