import Tensors
import Testing

@Suite struct TensorTests {
  private static let shape = Shape(batch: 2, channels: 20, height: 3, width: 3)

  @Test(
    "values in canonical order, whatever the layout; padding is zero",
    arguments: [Layout.blocked, .flat, .interleaved])
  func order(layout: Layout) {
    let tensor = Tensor(Self.shape, layout)
    tensor.values.update(repeating: 7)
    let values = (0..<360).map(Float.init)
    tensor.fill(from: values)
    #expect(tensor.toArray() == values && tensor[1, 19, 2, 1] == 358)
    #expect(tensor.values.reduce(0, +) == values.reduce(0, +))
    #expect(tensor.count == 2 * Tensor.imageStride(Self.shape, layout))
  }

  @Test("a place in a shared block, left and taken again")
  func place() {
    let memory = TensorMemory(count: 1000)
    let tensor = Tensor(Self.shape, .flat, capacity: 3, in: memory, at: 16)
    #expect(tensor.pointer == memory.pointer + 16 && tensor.capacity == 3 && tensor.sharesMemory)
    tensor.values.update(repeating: 1)
    #expect(memory.pointer[15] == 0 && memory.pointer[16] == 1 && memory.pointer[16 + 359] == 1)
    #expect(memory.pointer[16 + 360] == 0)
    tensor.leave()
    #expect(tensor.memory == nil && tensor.capacity == 0 && tensor.count == 0)
    tensor.lie(Self.shape.with(batch: 1), .blocked, capacity: 1, in: memory, at: 0, shared: false)
    #expect(tensor.count == 2 * 16 * 9 && tensor.layout == .blocked && !tensor.sharesMemory)
    #expect(!Tensor(Self.shape, .flat).sharesMemory)
  }
}
