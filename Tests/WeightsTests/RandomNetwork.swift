import Networks
import Tensors

extension Network {
  /// Gives every parameter and statistic values that differ from its neighbours', biases and batch normalisations too, which
  /// begin with constants.
  func randomize() {
    store.initialize(seed: 21)
    var random = RandomSource(seed: 3, purpose: .test)
    for parameter in store.parameters where parameter.shape.count == 1 {
      parameter.importValues(parameter.exportValues().map { $0 + random.uniform(-0.2, 0.2) })
    }
    for state in states {
      for index in state.values.indices { state.values[index] += Double(random.uniform(0, 0.5)) }
    }
  }
}
