import Networks
import Tensors
import TestSupport
import Testing

@Suite struct DropoutTests {
  private func context(keys: [UInt64], epoch: Int = 1, seed: UInt64 = 1) -> StepContext {
    let context = StepContext()
    context.sampleKeys = keys
    context.epoch = epoch
    context.seed = seed
    return context
  }

  private func ones(_ shape: Shape, _ layout: Layout) -> Tensor {
    let tensor = Tensor(shape, layout)
    tensor.fill(from: [Float](repeating: 1, count: shape.batch * shape.features))
    return tensor
  }

  private func mask(_ shape: Shape, _ context: StepContext, name: String = "drop") -> [Float] {
    Dropout(name, rate: 0.5).forward(ones(shape, .flat), context).toArray()
  }

  @Test(
    "the mask has the same bits on every kernel and for any number of threads",
    arguments: [Layout.flat, .blocked], [[3, 20, 3, 5], [2, 70, 1, 1], [1, 33, 30, 40], [0, 4, 1, 1]])
  func kernels(layout: Layout, extents: [Int]) {
    let shape = Shape(batch: extents[0], channels: extents[1], height: extents[2], width: extents[3])
    let keys = (0..<UInt64(shape.batch)).map { $0 &* 0x1_0000_0001 &+ 5 }
    let runs = onAllKernels { () -> [Float] in
      let x = randomTensor(shape, layout, seed: 3)
      let y = Dropout("drop", rate: 0.3).forward(x, context(keys: keys))
      #expect(y === x && paddingIsZero(y))
      return y.toArray()
    }
    for run in runs {
      #expect(run.sameForAllThreads, "\(run.set)")
      #expect(run.values == runs[0].values, "\(run.set)")
    }
  }

  @Test("values are dropped at the rate, the others scaled", arguments: [0.0, 0.1, 0.5, 0.8])
  func rate(_ rate: Double) {
    let shape = Shape(batch: 4, features: 25000)
    let y = Dropout("drop", rate: rate).forward(ones(shape, .flat), context(keys: [1, 2, 3, 4])).toArray()
    let dropped = Double(y.filter { $0 == 0 }.count) / 1e5
    // Five standard deviations of a share of 100 000.
    #expect(abs(dropped - rate) <= 5 * (rate * (1 - rate) / 1e5).squareRoot())
    #expect(y.allSatisfy { $0 == 0 || $0 == Float(1 / (1 - rate)) })
  }

  @Test("neighbours in every direction are independent")
  func independence() {
    let shape = Shape(batch: 2, features: 20000)
    let y = mask(shape, context(keys: [7, 8]))
    for distance in [1, 4, 16, 64, 20000] {
      let pairs = zip(y, y.dropFirst(distance))
      let both = Double(pairs.filter { $0 != 0 && $1 != 0 }.count) / Double(y.count - distance)
      #expect(abs(both - 0.25) < 0.015, "distance \(distance)")
    }
  }

  @Test("backward uses the mask of the forward")
  func backward() {
    let shape = Shape(batch: 2, channels: 20, height: 3, width: 3)
    let context = context(keys: [4, 9])
    let layer = Dropout("drop", rate: 0.4)
    let y = layer.forward(ones(shape, .blocked), context).toArray()
    let dy = ones(shape, .blocked)
    let dx = layer.backward(dy, context)!
    #expect(dx === dy && paddingIsZero(dx))
    #expect(dx.toArray() == y)
  }

  @Test("an image's mask does not depend on the batch it is in")
  func batches() {
    let shape = Shape(batch: 3, features: 100)
    let together = mask(shape, context(keys: [10, 20, 30]))
    let alone = mask(shape.with(batch: 1), context(keys: [20]))
    #expect(Array(together[100..<200]) == alone)
    #expect(Array(together[0..<100]) != alone)
  }

  @Test("seed, epoch, layer and sample each change the mask; nothing else does")
  func streams() {
    let shape = Shape(batch: 1, features: 100)
    let reference = mask(shape, context(keys: [1]))
    #expect(mask(shape, context(keys: [1])) == reference)
    #expect(mask(shape, context(keys: [1], seed: 2)) != reference)
    #expect(mask(shape, context(keys: [1], epoch: 2)) != reference)
    #expect(mask(shape, context(keys: [2])) != reference)
    #expect(mask(shape, context(keys: [1]), name: "other") != reference)
  }

  @Test("evaluation passes values and gradients")
  func evaluation() {
    let context = context(keys: [])
    context.mode = .evaluation
    let layer = Dropout("drop", rate: 0.5)
    let x = randomTensor(Shape(batch: 2, features: 50), .flat, seed: 1)
    let before = x.toArray()
    #expect(layer.forward(x, context).toArray() == before)
    #expect(layer.backward(x, context)!.toArray() == before)
  }
}
