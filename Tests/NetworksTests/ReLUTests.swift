import Networks
import Tensors
import TestSupport
import Testing

@Suite struct ReLUTests {
  @Test(
    "rectifies in place on every kernel, with gradient",
    arguments: [[2, 20, 3, 3], [1, 16, 40, 40], [0, 3, 2, 2]])
  func oracle(_ extents: [Int]) {
    let shape = Shape(batch: extents[0], channels: extents[1], height: extents[2], width: extents[3])
    let input = randomValues(shape.batch * shape.features, seed: 1)
    let upstream = randomValues(shape.batch * shape.features, seed: 2)
    let y = input.map { Double(max($0, 0)) }
    let dx = zip(input, upstream).map { $0 > 0 ? Double($1) : 0 }
    let context = StepContext()
    for run in onAllKernels({
      let layer = ReLU("relu")
      let x = Tensor(shape, .blocked)
      x.fill(from: input)
      let dy = Tensor(shape, .blocked)
      dy.fill(from: upstream)
      #expect(layer.forward(x, context) === x)
      #expect(layer.backward(dy, context) === dy)
      #expect(paddingIsZero(x) && paddingIsZero(dy))
      return x.toArray() + dy.toArray()
    }) {
      #expect(run.sameForAllThreads, "\(run.set)")
      #expect(relativeDifference(run.values, y + dx) == 0, "\(run.set)")
    }
  }

  @Test("NaN passes")
  func notANumber() {
    for run in onAllKernels({
      let x = Tensor(Shape(batch: 1, features: 3), .flat)
      x.fill(from: [-1, .nan, 2])
      return ReLU("relu").forward(x, StepContext()).toArray()
    }) {
      #expect(run.values[0] == 0 && run.values[1].isNaN && run.values[2] == 2, "\(run.set)")
    }
  }
}
