import Foundation
import Networks
import Tensors
import TestSupport
import Testing

@Suite struct BatchNormalizationTests {
  /// What a batch norm gives, in Double.
  private struct Expected {
    var y: [Double] = [], dx: [Double] = []
    var dGamma: [Double] = [], dBeta: [Double] = []
    var mean: [Double] = [], unbiasedVariance: [Double] = []

    /// Two passes over the values, the textbook way.
    init(_ shape: Shape, _ x: [Float], _ dy: [Float], gamma: [Float], beta: [Float], epsilon: Double) {
      y = [Double](repeating: 0, count: x.count)
      dx = y
      for c in 0..<shape.channels {
        let indices = (0..<shape.batch).flatMap { n in
          (0..<shape.cells).map { (n * shape.channels + c) * shape.cells + $0 }
        }
        let n = Double(indices.count)
        let mean = indices.reduce(0) { $0 + Double(x[$1]) } / n
        let squares = indices.reduce(0) { $0 + pow(Double(x[$1]) - mean, 2) }
        let deviation = sqrt(squares / n + epsilon)
        let xhat = indices.map { (Double(x[$0]) - mean) / deviation }
        let sumDY = indices.reduce(0) { $0 + Double(dy[$1]) }
        let sumProduct = zip(indices, xhat).reduce(0) { $0 + Double(dy[$1.0]) * $1.1 }
        for (index, h) in zip(indices, xhat) {
          y[index] = Double(gamma[c]) * h + Double(beta[c])
          dx[index] = Double(gamma[c]) / deviation * (Double(dy[index]) - sumDY / n - h * sumProduct / n)
        }
        self.mean.append(mean)
        unbiasedVariance.append(squares / max(n - 1, 1))
        dGamma.append(sumProduct)
        dBeta.append(sumDY)
      }
    }
  }

  private func makeLayer(
    _ channels: Int, gamma: [Float], beta: [Float], synchronized: Bool = true
  ) -> (BatchNormalization, ParameterStore) {
    let layer = BatchNormalization("bn", channels: channels, synchronized: synchronized)
    let store = ParameterStore(layer.parameters)
    layer.weight.importValues(gamma)
    layer.bias.importValues(beta)
    return (layer, store)
  }

  @Test(
    "output, gradients and running statistics match two-pass loops on every kernel",
    arguments: [
      // N, C, H, W, mean
      [3, 20, 4, 5, 0], [1, 16, 7, 7, 3], [5, 35, 1, 1, -2], [2, 3, 8, 8, 100],
    ])
  func oracle(_ extents: [Int]) throws {
    let shape = Shape(batch: extents[0], channels: extents[1], height: extents[2], width: extents[3])
    let mean = Float(extents[4])
    let x = randomTensor(shape, .blocked, seed: 1, mean - 1, mean + 1)
    let dy = randomTensor(shape, .blocked, seed: 2)
    let gamma = randomValues(shape.channels, seed: 3, 0.5, 2)
    let beta = randomValues(shape.channels, seed: 4)
    let expected = Expected(shape, x.toArray(), dy.toArray(), gamma: gamma, beta: beta, epsilon: 1e-5)
    for run in try onAllKernels({
      let (layer, store) = makeLayer(shape.channels, gamma: gamma, beta: beta)
      let context = StepContext()
      let y = try layer.forward(x, context)
      let dx = try layer.backward(dy, context)!
      #expect(paddingIsZero(y) && paddingIsZero(dx))
      for c in 0..<shape.channels {
        #expect(
          abs(layer.runningMean.values[c] - 0.1 * expected.mean[c]) < 1e-9 * (1 + abs(expected.mean[c])))
        let variance = 0.9 + 0.1 * expected.unbiasedVariance[c]
        #expect(abs(layer.runningVariance.values[c] - variance) < 1e-9 * variance)
      }
      withExtendedLifetime(store) {}
      return y.toArray() + dx.toArray() + layer.weight.exportGradients() + layer.bias.exportGradients()
    }) {
      #expect(run.sameForAllThreads, "\(run.set)")
      let all = expected.y + expected.dx + expected.dGamma + expected.dBeta
      #expect(relativeDifference(run.values, all) < 3e-6, "\(run.set)")
    }
  }

  @Test("a mean far above the deviation costs no precision")
  func largeMean() throws {
    let shape = Shape(batch: 4, channels: 3, height: 6, width: 6)
    let x = randomTensor(shape, .blocked, seed: 5, 1000, 1000.05)
    let dy = randomTensor(shape, .blocked, seed: 6)
    let ones = [Float](repeating: 1, count: 3)
    let expected = Expected(shape, x.toArray(), dy.toArray(), gamma: ones, beta: ones, epsilon: 1e-5)
    for set in InstructionSet.available {
      try withKernels(set) {
        let (layer, store) = makeLayer(3, gamma: ones, beta: ones)
        let context = StepContext()
        let y = try layer.forward(x, context).toArray()
        let dx = try layer.backward(dy, context)!.toArray()
        #expect(relativeDifference(y, expected.y) < 1e-5, "\(set)")
        #expect(relativeDifference(dx, expected.dx) < 1e-5, "\(set)")
        withExtendedLifetime(store) {}
      }
    }
  }

  @Test("gradients match finite differences", arguments: [true, false])
  func finiteDifferences(training: Bool) throws {
    let gamma = randomValues(5, seed: 8, 0.5, 1.5)
    let (layer, store) = makeLayer(5, gamma: gamma, beta: randomValues(5, seed: 9))
    for c in 0..<5 {
      layer.runningMean.values[c] = 0.1 * Double(c)
      layer.runningVariance.values[c] = 0.5 + Double(c)
    }
    let context = StepContext()
    context.mode = training ? .training : .evaluation
    var check = GradientCheck()
    check.tolerance = 2e-3
    check.maximumSamples = 90
    let x = randomTensor(Shape(batch: 3, channels: 5, height: 2, width: 3), .blocked, seed: 7)
    let report = try check.run(layer, x, context)
    #expect(report.passes && report.checked == 100, "\(report.mismatches)")
    withExtendedLifetime(store) {}
  }

  @Test("evaluation uses the running statistics and leaves them alone")
  func evaluation() throws {
    let (layer, store) = makeLayer(2, gamma: [2, 1], beta: [1, -1])
    layer.runningMean.values[0] = 3
    layer.runningVariance.values[0] = 4 - 1e-5
    layer.runningVariance.values[1] = 0.25 - 1e-5
    let context = StepContext()
    context.mode = .evaluation
    let x = Tensor(Shape(batch: 1, channels: 2, height: 1, width: 2), .blocked)
    x.fill(from: [5, 3, 1, -1])
    let y = try layer.forward(x, context)
    #expect(relativeDifference(y.toArray(), [3, 1, 1, -3]) < 1e-6)
    #expect(layer.runningMean.values[0] == 3)
    withExtendedLifetime(store) {}
  }

  @Test("one cell in the whole batch gives beta, and finite gradients and statistics")
  func oneCell() throws {
    let (layer, store) = makeLayer(1, gamma: [2], beta: [0.5])
    let context = StepContext()
    let x = randomTensor(Shape(batch: 1, channels: 1, height: 1, width: 1), .blocked, seed: 1, 5, 6)
    #expect(try layer.forward(x, context).toArray() == [0.5])
    let dx = try layer.backward(x, context)!
    #expect(dx.toArray() == [0])
    #expect(layer.runningMean.values[0].isFinite && layer.runningVariance.values[0] == 0.9)
    withExtendedLifetime(store) {}
  }

  @Test("no image on any rank: nothing changes")
  func noImages() throws {
    let (layer, store) = makeLayer(3, gamma: [1, 1, 1], beta: [0, 0, 0])
    let context = StepContext()
    let x = Tensor(Shape(batch: 0, channels: 3, height: 2, width: 2), .blocked)
    let y = try layer.forward(x, context)
    #expect(try layer.backward(y, context)!.shape.batch == 0)
    #expect(
      Array(layer.runningMean.values) == [0, 0, 0] && Array(layer.runningVariance.values) == [1, 1, 1])
    #expect(store.gradients.allSatisfy { $0 == 0 })
  }

  /// One rank's share of the results.
  private struct Share: Sendable {
    var y: [Float], dx: [Float], gradients: [Float], mean: [Double], variance: [Double]
  }

  @Test("ranks with uneven and empty shares give what one rank gives", arguments: [true, false])
  func ranks(synchronized: Bool) throws {
    let shape = Shape(batch: 7, channels: 20, height: 3, width: 2)
    let counts = [4, 0, 3]
    let x = randomValues(shape.batch * shape.features, seed: 8, 1, 3)
    let dy = randomValues(shape.batch * shape.features, seed: 9)
    let gamma = randomValues(20, seed: 10, 0.5, 2)
    let beta = randomValues(20, seed: 11)

    @Sendable func share(_ first: Int, _ count: Int, _ exchange: any StatisticsExchange) throws -> Share {
      let (layer, store) = makeLayer(20, gamma: gamma, beta: beta, synchronized: synchronized)
      let context = StepContext(exchange: exchange)
      let range = first * shape.features..<(first + count) * shape.features
      let input = Tensor(shape.with(batch: count), .blocked)
      let upstream = Tensor(shape.with(batch: count), .blocked)
      input.fill(from: Array(x[range]))
      upstream.fill(from: Array(dy[range]))
      let y = try layer.forward(input, context)
      let dx = try layer.backward(upstream, context)!
      return Share(
        y: y.toArray(), dx: dx.toArray(), gradients: Array(store.gradients),
        mean: Array(layer.runningMean.values), variance: Array(layer.runningVariance.values))
    }

    let whole = try share(0, 7, LocalStatistics())
    let shares = try ThreadedStatistics.run(3) { rank, exchange in
      try share(counts[..<rank].reduce(0, +), counts[rank], exchange)
    }
    for part in shares {
      for c in 0..<20 {
        #expect(
          abs(part.mean[c] - whole.mean[c]) < 1e-12 && abs(part.variance[c] - whole.variance[c]) < 1e-12)
      }
      #expect(part.mean == shares[0].mean && part.variance == shares[0].variance)
    }
    let gradients = whole.gradients.indices.map { i in shares.reduce(Float(0)) { $0 + $1.gradients[i] } }
    if synchronized {
      #expect(relativeDifference(shares.flatMap(\.y), whole.y.map(Double.init)) < 1e-6)
      #expect(relativeDifference(shares.flatMap(\.dx), whole.dx.map(Double.init)) < 1e-6)
      #expect(relativeDifference(gradients, whole.gradients.map(Double.init)) < 1e-6)
    } else {
      let first = Array(x[..<(4 * shape.features)])
      let upstream = Array(dy[..<(4 * shape.features)])
      let expected = Expected(shape.with(batch: 4), first, upstream, gamma: gamma, beta: beta, epsilon: 1e-5)
      #expect(relativeDifference(shares[0].y, expected.y) < 1e-5)
      #expect(relativeDifference(shares[0].dx, expected.dx) < 1e-5)
    }
  }

  @Test("names are those of PyTorch's files; gamma starts at 1")
  func names() {
    let layer = BatchNormalization("features.1", channels: 2)
    let store = ParameterStore(layer.parameters)
    store.initialize(seed: 1)
    #expect(layer.parameters.map(\.name) == ["features.1.weight", "features.1.bias"])
    #expect(layer.states.map(\.name) == ["features.1.running_mean", "features.1.running_var"])
    #expect(layer.weight.exportValues() == [1, 1] && layer.bias.exportValues() == [0, 0])
  }
}
