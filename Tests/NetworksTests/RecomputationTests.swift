import Foundation
import Tensors
import TestSupport
import Testing

@testable import Networks

@Suite("Recomputation") struct RecomputationTests {
  private typealias Trainee = NetworkMemoryTests.Trainee

  /// A forward that is counted.
  private final class Counter: LayerObserver {
    var forwards = 0
    func didForward(_ layer: any Layer, output: Tensor) { forwards += 1 }
    func didBackward(_ layer: any Layer, inputGradient: Tensor?) {}
  }

  @Test("the bits are those of a step that keeps everything", arguments: NetworkMemoryTests.Case.all)
  func sameBits(_ test: NetworkMemoryTests.Case) throws {
    // Other suites change the kernels meanwhile.
    try withKernels(.current) { try compare(test) }
  }

  private func compare(_ test: NetworkMemoryTests.Case) throws {
    let kept = Trainee(test)
    for batch in [3, 2] { try kept.train(batch, capacity: 3) }
    try kept.evaluate(3, capacity: 3)
    try kept.train(3, capacity: 3)
    for policy in [Recomputation.segments(2), .segments(4), .segments(100), .automatic] {
      let again = Trainee(test)
      let counter = Counter()
      again.network.observer = counter
      again.network.recomputation = policy
      again.context.mode = .training
      again.network.prepare(batchSize: 3, again.context)
      again.network.memory.overwrite(with: .nan)
      for batch in [3, 2] { try again.train(batch, capacity: 3) }
      try again.evaluate(3, capacity: 3)
      again.network.memory.overwrite(with: .nan)
      try again.train(3, capacity: 3)
      let isSame = again.results == kept.results
      #expect(isSame, "\(policy)")
      #expect(counter.forwards == 4 * again.network.leaves.count)
    }
  }

  @Test("several ranks, whose statistics travel once", arguments: [2, 3])
  func ranks(count: Int) throws {
    for test in NetworkMemoryTests.Case.all where test.architecture.name == "compact" {
      let bits = try withKernels(.current) {
        try [Recomputation.none, .segments(3), .automatic].map { try Self.train(test, $0, ranks: count) }
      }
      let isSame = bits[0] == bits[1] && bits[0] == bits[2]
      #expect(isSame)
      #expect(bits[0][0] != bits[0][1])
    }
  }

  private static func train(
    _ test: NetworkMemoryTests.Case, _ policy: Recomputation, ranks: Int
  ) throws -> [[UInt32]] {
    try ThreadedStatistics.run(ranks) { rank, exchange in
      let trainee = Trainee(test, exchange: exchange)
      trainee.network.recomputation = policy
      for _ in 0..<2 { try trainee.train(2, capacity: 2, rank: rank, ranks: ranks) }
      return trainee.results
    }
  }

  @Test("a deep chain needs less memory, about its square root")
  func savesMemory() {
    let geometry = ConvolutionGeometry(inputChannels: 16, outputChannels: 16, kernel: 3, padding: 1)
    let layers = (0..<36).flatMap { [Convolution("\($0)", geometry), ReLU("r\($0)")] as [any Layer] }
    let input = Shape(batch: 1, channels: 16, height: 8, width: 8)
    let maps = [1, 2, 4, 6, 9, 36].map { count in
      let plan = PassPlan(layers, input: input, .blocked, hasBackward: true, segmentCount: count)
      return plan.places.count / (16 * 64)
    }
    // All 36 outputs and a gradient; then one output per segment, those within one, dy and dx.
    #expect(maps[0] == 37 || maps[0] == 38)
    #expect(maps[1] < maps[0] && maps[2] < maps[1] && maps[3] <= 14 && maps[4] <= 14 && maps[5] > maps[3])
  }

  @Test("a changed policy holds from the next step")
  func change() throws {
    try withKernels(.current) { try changePolicy() }
  }

  private func changePolicy() throws {
    let trainee = Trainee(NetworkMemoryTests.Case(architecture: .vgg16))
    try trainee.train(2, capacity: 2)
    #expect(trainee.network.memorySummary?.recomputedBytes == 0)
    trainee.network.recomputation = .segments(3)
    try trainee.train(2, capacity: 2)
    #expect(trainee.network.memorySummary?.recomputedBytes != 0)
    #expect(trainee.results.prefix(6) == trainee.results.suffix(trainee.results.count / 2).prefix(6))
  }

  @Test("written as on the command line")
  func text() throws {
    for (text, value) in [("none", Recomputation.none), ("auto", .automatic), ("4", .segments(4))] {
      #expect(Recomputation(rawValue: text) == value && value.rawValue == text)
      let copy = try JSONDecoder().decode([Recomputation].self, from: JSONEncoder().encode([value]))
      #expect(copy == [value])
    }
    #expect(try JSONDecoder().decode([Recomputation].self, from: Data("[4]".utf8)) == [.segments(4)])
    for wrong in ["", "1", "0", "-2", "many", "2.5"] { #expect(Recomputation(rawValue: wrong) == nil) }
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode([Recomputation].self, from: Data("[1]".utf8))
    }
  }
}
