import Networks
import Tensors
import TestSupport
import Testing

@Suite struct FlattenTests {
  @Test("flattens in the order channel, row, column; its gradient goes back")
  func roundTrip() {
    let layer = Flatten("flatten")
    let context = StepContext()
    let x = randomTensor(Shape(batch: 2, channels: 18, height: 3, width: 2), .blocked, seed: 1)
    let y = layer.forward(x, context)
    #expect(y.layout == .flat && y.shape == Shape(batch: 2, features: 108))
    #expect(Array(y.values) == x.toArray())
    let dx = layer.backward(y, context)!
    #expect(dx.layout == .blocked && dx.shape == x.shape)
    #expect(dx.toArray() == x.toArray() && paddingIsZero(dx))
  }
}
