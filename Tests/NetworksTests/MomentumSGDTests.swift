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
}
