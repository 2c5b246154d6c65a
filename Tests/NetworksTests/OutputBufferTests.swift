import Tensors
import Testing

@testable import Networks

@Suite("OutputBuffer") struct OutputBufferTests {
  private static func shape(_ batch: Int) -> Shape { Shape(batch: batch, channels: 16, height: 2, width: 2) }

  @Test("one tensor for all batches up to the capacity")
  func reuse() {
    let buffer = OutputBuffer()
    let y = buffer.prepare(Self.shape(2), .blocked, capacity: 4)
    #expect(y.capacity == 4 && y.shape.batch == 2 && y.count == 128)
    let pointer = y.pointer
    #expect(buffer.prepare(Self.shape(4), .blocked, capacity: 4) === y && y.pointer == pointer)
    #expect(buffer.prepare(Self.shape(6), .blocked, capacity: 0).capacity == 6)
    #expect(buffer.prepare(Self.shape(6), .flat, capacity: 0).layout == .flat)
  }

  @Test("lies where it is placed, if there is room")
  func place() {
    let memory = TensorMemory(count: 400)
    let buffer = OutputBuffer()
    let y = buffer.prepare(Self.shape(1), .blocked, capacity: 1)
    buffer.lie(at: PlannedPlace(memory: memory, offset: 32, floats: 128))
    #expect(y.memory == nil && y.capacity == 0)
    #expect(buffer.prepare(Self.shape(1), .blocked, capacity: 2) === y)
    #expect(y.pointer == memory.pointer + 32 && y.sharesMemory)
    #expect(buffer.prepare(Self.shape(3), .blocked, capacity: 3) === y)
    #expect(y.memory !== memory && !y.sharesMemory)
    buffer.lie(at: nil)
    #expect(buffer.prepare(Self.shape(1), .blocked, capacity: 1).memory !== memory)
  }
}
