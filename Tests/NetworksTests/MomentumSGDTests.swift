import Networks
import Tensors
import TestSupport
import Testing

@Suite struct MomentumSGDTests {
  /// Two steps by hand, in the authors' form: v without the learning rate.
  @Test("two steps computed by hand")
  func byHand() {
    let parameter = Parameter("w", shape: [1], learningRateMultiplier: 2, weightDecayMultiplier: 0.5)
    let store = ParameterStore([parameter])
    let optimizer = MomentumSGD(store, momentum: 0.5, weightDecay: 0.5)
    parameter.values[0] = 4
    parameter.gradients[0] = 1
    _ = optimizer.update(learningRate: 0.25)
    // g = 1 + 0.5·0.5·4 = 2; v = −2; w = 4 + 0.25·2·(−2) = 3
    #expect(optimizer.velocities[0] == -2 && parameter.values[0] == 3)
    parameter.gradients[0] = -0.75
    _ = optimizer.update(learningRate: 0.125)
    // g = −0.75 + 0.25·3 = 0; v = −1; w = 3 + 0.125·2·(−1) = 2.75
    #expect(optimizer.velocities[0] == -1 && parameter.values[0] == 2.75)
  }

  @Test("each parameter with its multipliers, on every kernel; padding stays zero")
  func arena() {
    let layouts: [(String, [Int], ParameterLayout, Float, Float)] = [
      ("a", [20, 5, 3, 3], .blockedWeights, 1, 1), ("b", [20], .blockedVector, 2, 0),
      ("c", [300, 70], .plain, 0.5, 1),
      ("d", [7], .plain, 0, 3),
    ]
    func makeStore() -> ParameterStore {
      let store = ParameterStore(
        layouts.map {
          Parameter(
            $0.0, shape: $0.1, layout: $0.2, learningRateMultiplier: $0.3, weightDecayMultiplier: $0.4)
        })
      for (index, parameter) in store.parameters.enumerated() {
        parameter.importValues(randomValues(parameter.count, seed: UInt64(index)))
      }
      return store
    }
    func setGradients(_ store: ParameterStore, step: Int) {
      for (index, parameter) in store.parameters.enumerated() {
        let canonical = randomValues(parameter.count, seed: UInt64(100 * step + index))
        parameter.stored(from: canonical, into: parameter.gradients)
      }
    }
    let (momentum, weightDecay, rate) = (Float(0.9), Float(0.01), Float(0.1))

    let original = makeStore()
    var expected: [Double] = []
    for (index, parameter) in original.parameters.enumerated() {
      var w = parameter.exportValues().map(Double.init)
      var v = [Double](repeating: 0, count: w.count)
      for step in 1...2 {
        let g = randomValues(w.count, seed: UInt64(100 * step + index))
        for i in w.indices {
          v[i] = Double(momentum) * v[i] - (Double(g[i]) + Double(weightDecay * layouts[index].4) * w[i])
          w[i] += Double(rate * layouts[index].3) * v[i]
        }
      }
      expected += w + v
    }
    for run in onAllKernels({
      let store = makeStore()
      let optimizer = MomentumSGD(store, momentum: momentum, weightDecay: weightDecay)
      for step in 1...2 {
        setGradients(store, step: step)
        _ = optimizer.update(learningRate: rate)
      }
      var result: [Float] = []
      var learned = 0.0
      for parameter in store.parameters {
        var v = [Float](repeating: 0, count: parameter.count)
        parameter.canonical(from: optimizer.velocities.baseAddress! + parameter.offset, into: &v)
        result += parameter.exportValues() + v
        learned += (parameter.exportValues() + v).reduce(0) { $0 + Double(abs($1)) }
      }
      let stored = (Array(store.values) + Array(optimizer.velocities)).reduce(0) { $0 + Double(abs($1)) }
      #expect(abs(stored - learned) < 1e-9 * learned, "padding must stay zero")
      return result
    }) {
      #expect(run.sameForAllThreads, "\(run.set)")
      #expect(relativeDifference(run.values, expected) < 1e-6, "\(run.set)")
    }
  }

  @Test(
    "ranks that share an update end with the bits of one that does it alone, in shared values",
    arguments: 1...4)
  func shares(ranks: Int) {
    // Lengths that the ranks' shares cut in the middle of parameters, blocks and vectors.
    let shapes = [[300, 70], [7], [4096], [5001]]
    func makeStore(_ arenas: ParameterArenas.Source = ParameterArenas.Source()) -> ParameterStore {
      let store = ParameterStore(
        shapes.enumerated().map {
          Parameter("p\($0)", shape: $1, learningRateMultiplier: Float($0 + 1), weightDecayMultiplier: 0.5)
        }, arenas: arenas)
      for (index, parameter) in store.parameters.enumerated() {
        parameter.importValues(randomValues(parameter.count, seed: UInt64(index)))
      }
      return store
    }
    func gradients(_ store: ParameterStore, rank: Int, step: Int) -> [Float] {
      var arena = [Float](repeating: 0, count: store.count)
      for (index, parameter) in store.parameters.enumerated() {
        let values = randomValues(parameter.count, seed: UInt64(1000 * rank + 100 * step + index))
        arena.replaceSubrange(parameter.offset..<parameter.offset + parameter.count, with: values)
      }
      return arena
    }
    func arena(_ count: Int) -> UnsafeMutablePointer<Float> {
      let raw = UnsafeMutableRawPointer.allocate(byteCount: 4 * count, alignment: 64)
      let memory = raw.bindMemory(to: Float.self, capacity: count)
      memory.initialize(repeating: 0, count: count)
      return memory
    }
    let alone = makeStore()
    let one = MomentumSGD(alone, momentum: 0.9, weightDecay: 0.01)
    let values = arena(alone.count)
    let velocities = arena(alone.count)
    let stores = (0..<ranks).map { _ in
      makeStore(
        ParameterArenas.Source { count, _ in
          ParameterArenas(values: values, gradients: arena(count), velocities: velocities)
        })
    }
    let vectors = alone.count / 16
    let optimizers = stores.enumerated().map { rank, store in
      MomentumSGD(
        store, momentum: 0.9, weightDecay: 0.01,
        share: UpdateShare(
          range: rank * vectors / ranks * 16..<(rank + 1) * vectors / ranks * 16,
          gradients: stores.map { UnsafePointer($0.gradients.baseAddress) }))
    }
    for step in 1...2 {
      let all = (0..<ranks).map { gradients(alone, rank: $0, step: step) }
      for index in 0..<alone.count {
        alone.gradients[index] = all.dropFirst().reduce(all[0][index]) { $0 + $1[index] }
        for rank in 0..<ranks { stores[rank].gradients[index] = all[rank][index] }
      }
      #expect(one.update(learningRate: 0.1) == nil)
      for optimizer in optimizers { #expect(optimizer.update(learningRate: 0.1) == nil) }
    }
    #expect(stores[0].values.map(\.bitPattern) == alone.values.map(\.bitPattern))
    #expect(Array(UnsafeBufferPointer(start: velocities, count: alone.count)) == Array(one.velocities))

    // A gradient that is not finite is found by the rank whose share it lies in, and its surroundings stay.
    let last = alone.parameters[3].offset + 5000
    stores[0].gradients[last] = .infinity
    let before = stores[0].values[last - 1]
    let found = optimizers.map { $0.update(learningRate: 0.1) }
    #expect(found.dropLast().allSatisfy { $0 == nil } && found.last??.name == "p3")
    #expect(stores[0].values[last - 1] == before && stores[0].values.allSatisfy(\.isFinite))
    for store in stores {
      store.gradients.baseAddress!.deallocate()
    }
    values.deallocate()
    velocities.deallocate()
  }
}
