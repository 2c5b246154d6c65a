import Tensors
import TestSupport
import Testing

@Suite struct FlatteningTests {
  @Test(
    "flat order is channel, row, column, and back",
    arguments: [[2, 20, 3, 5], [3, 16, 1, 1], [1, 35, 2, 2], [0, 4, 2, 2]])
  func roundTrip(_ extents: [Int]) {
    let shape = Shape(batch: extents[0], channels: extents[1], height: extents[2], width: extents[3])
    let x = randomTensor(shape, .blocked, seed: 11)
    for threads in 1...3 {
      withKernels(.reference, threads: threads) {
        let flat = Tensor(Shape(batch: shape.batch, features: shape.features), .flat)
        Flattening.flatten(x, into: flat)
        #expect(Array(flat.values) == x.toArray())
        let back = Tensor(shape, .blocked)
        back.values.update(repeating: 9)
        Flattening.unflatten(flat, into: back)
        #expect(back.toArray() == x.toArray())
        #expect(paddingIsZero(back))
      }
    }
  }
}
