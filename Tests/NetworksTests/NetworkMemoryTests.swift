import Tensors
import TestSupport
import Testing

@testable import Networks

@Suite("NetworkMemory") struct NetworkMemoryTests {
  /// A network of a few channels per layer, ordinary or interpretable.
  struct Case: Sendable, CustomTestStringConvertible {
    let architecture: Architecture
    var formulation: InterpretableOptions.Formulation?
    var testDescription: String { "\(architecture.name), \(formulation?.rawValue ?? "ordinary")" }

    static let all: [Case] =
      Architecture.all.map { Case(architecture: $0) }
      + [.paper, .released(corrected: false), .released(corrected: true)].flatMap { form in
        [Architecture.compact, .vggM].map { Case(architecture: $0, formulation: form) }
      }
  }

  /// A network with its context and loss, and the bits of what its passes made.
  final class Trainee {
    let network: Network
    let context: StepContext
    let loss = SoftmaxCrossEntropy()
    private(set) var results: [UInt32] = []

    init(_ test: Case, exchange: any StatisticsExchange = LocalStatistics(), seed: UInt64 = 1) {
      var options = NetworkOptions(outputs: 3, imageSize: 80)
      options.widthDivisor = 16
      if let formulation = test.formulation {
        options.interpretable = InterpretableOptions()
        options.interpretable?.formulation = formulation
      }
      network = test.architecture.build(options)
      network.store.initialize(seed: seed)
      context = StepContext(exchange: exchange)
      context.categoryCount = 3
      context.labelShares = [0.3, 0.3, 0.4]
    }

    /// Images of noise in a tensor for `capacity` images.
    func load(_ batch: Int, capacity: Int, rank: Int = 0, ranks: Int = 1) -> Tensor {
      let images = Tensor(network.inputShape.with(batch: capacity), .interleaved)
      images.setBatch(batch)
      for n in 0..<batch {
        var random = RandomSource(seed: 5, purpose: .test, UInt64(rank * batch + n))
        let stride = images.imageStride
        for index in 0..<stride { images.pointer[n * stride + index] = random.uniform(-1, 1) }
      }
      context.globalBatchSize = batch * ranks
      context.shareOffset = batch * rank
      context.sampleKeys = (0..<batch).map { UInt64(rank * batch + $0) }
      context.categories = (0..<batch).map { Int32((rank * batch + $0) % 3) }
      context.signs = context.categories.flatMap { category in (0..<3).map { $0 == category ? 1 : -1 } }
      return images
    }

    func train(_ batch: Int, capacity: Int, rank: Int = 0, ranks: Int = 1) throws {
      context.mode = .training
      network.store.zeroGradients()
      let logits = try network.forward(load(batch, capacity: capacity, rank: rank, ranks: ranks), context)
      let evaluation = loss.evaluate(logits, context)
      try network.backward(try #require(evaluation.gradient), context) { _ in }
      keep(logits)
    }

    func evaluate(_ batch: Int, capacity: Int) throws {
      context.mode = .evaluation
      keep(try network.forward(load(batch, capacity: capacity), context))
    }

    /// The same as `train`, every layer with memory of its own.
    func trainUnplanned(_ batch: Int, capacity: Int) throws {
      context.mode = .training
      network.store.zeroGradients()
      var x = load(batch, capacity: capacity)
      for layer in network.layers { x = try layer.forward(x, context) }
      var dy = loss.evaluate(x, context).gradient
      for layer in network.layers.reversed() {
        guard let arriving = dy else { break }
        dy = try layer.backward(arriving, context)
      }
      keep(x)
    }

    private func keep(_ logits: Tensor) {
      results += logits.toArray().map(\.bitPattern) + network.store.gradients.map(\.bitPattern)
      results += network.states.flatMap { $0.values.map { Float($0).bitPattern } }
    }
  }

  @Test("shared memory gives the bits of memory of one's own, whatever it held before", arguments: Case.all)
  func sameBits(_ test: Case) throws {
    // Other suites change the kernels meanwhile.
    try withKernels(.current) { try compare(test) }
  }

  private func compare(_ test: Case) throws {
    let (planned, unplanned) = (Trainee(test), Trainee(test))
    planned.context.mode = .training
    planned.network.prepare(batchSize: 3, planned.context)
    // A short batch, and none, in memory for three.
    for batch in [3, 2, 3] {
      planned.network.memory.overwrite(with: .nan)
      try planned.train(batch, capacity: 3)
      try unplanned.trainUnplanned(batch, capacity: 3)
    }
    let isSame = planned.results == unplanned.results
    #expect(isSame)
    #expect(planned.network.store.gradients.contains { $0 != 0 })
    let summary = try #require(planned.network.memorySummary)
    #expect(summary.activationBytes < summary.unsharedActivationBytes)
  }

  @Test("an evaluation between steps changes nothing and takes no more memory", arguments: Case.all)
  func evaluation(_ test: Case) throws {
    try withKernels(.current) { try evaluateBetweenSteps(test) }
  }

  private func evaluateBetweenSteps(_ test: Case) throws {
    let (one, other) = (Trainee(test), Trainee(test))
    try one.train(3, capacity: 3)
    let block = try #require(one.network.memory.block)
    try one.evaluate(3, capacity: 3)
    try one.train(3, capacity: 3)
    #expect(one.network.memory.block === block)
    for _ in 0..<2 { try other.train(3, capacity: 3) }
    #expect(one.results.suffix(100) == other.results.suffix(100))
    try other.evaluate(3, capacity: 3)
    let trained = try #require(one.network.memorySummary?.activationBytes)
    let evaluated = try #require(other.network.memorySummary?.activationBytes)
    #expect(evaluated < trained)
  }

  @Test("a larger batch gets a larger block, a smaller one keeps it")
  func growth() throws {
    try withKernels(.current) { try grow() }
  }

  private func grow() throws {
    let trainee = Trainee(Case(architecture: .alexNet))
    try trainee.train(2, capacity: 2)
    let small = try #require(trainee.network.memory.block?.count)
    try trainee.train(4, capacity: 4)
    let block = try #require(trainee.network.memory.block)
    #expect(block.count >= 2 * small - 64)
    try trainee.train(2, capacity: 2)
    #expect(trainee.network.memory.block === block)
    let fresh = Trainee(Case(architecture: .alexNet))
    for _ in 0..<3 { try fresh.train(2, capacity: 2) }
    #expect(trainee.results.suffix(100) == fresh.results.suffix(100))
  }

  @Test("the logits stay until the step is over")
  func logits() throws {
    let trainee = Trainee(Case(architecture: .alexNet))
    let logits = try trainee.network.forward(trainee.load(2, capacity: 2), trainee.context)
    let before = logits.toArray()
    let gradient = try #require(trainee.loss.evaluate(logits, trainee.context).gradient)
    try trainee.network.backward(gradient, trainee.context) { _ in }
    #expect(logits.toArray() == before)
  }
}
