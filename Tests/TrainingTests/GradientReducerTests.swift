import Communication
import Networks
import Tensors
import Testing

@testable import Training

@Suite("GradientReducer") struct GradientReducerTests {
  private static func store() -> ParameterStore {
    ParameterStore([
      Parameter("a", shape: [37]), Parameter("b", shape: [100, 3]), Parameter("c", shape: [1]),
    ])
  }

  @Test("buckets cover the arena once, from its end", arguments: [1, 64, 256, 1 << 20])
  func buckets(bytes: Int) {
    let store = Self.store()
    let offsets = GradientReducer(
      SingleProcess().gradientExchange(.automatic, .float32), store, bucketBytes: bytes
    ).bucketOffsets
    #expect(offsets.last == 0)
    #expect(zip(offsets, offsets.dropFirst()).allSatisfy { $0 > $1 })
    #expect(offsets.allSatisfy { $0 >= 0 && $0 < store.count })
  }

  @Test("gradients become sums over ranks, however backward reports them", arguments: [1, 2, 3, 4])
  func sums(ranks: Int) throws {
    let results = try InProcessGroup.run(size: ranks) { communicator -> [[Float]] in
      let store = Self.store()
      let exchange = communicator.gradientExchange(.automatic, .float32)
      let reducer = GradientReducer(exchange, store, bucketBytes: 128)
      return try [[store.count, 300, 299, 48, 0], [0], []].map { progress in
        for index in 0..<store.count { store.gradients[index] = Float(index * (communicator.rank + 1)) }
        for offset in progress { reducer.start(from: offset) }
        try reducer.finish()
        return Array(store.gradients)
      }
    }
    let factor = ranks * (ranks + 1) / 2
    for result in results.flatMap({ $0 }) {
      #expect(result == result.indices.map { Float($0 * factor) })
    }
  }
}
