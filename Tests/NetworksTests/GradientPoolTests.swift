import Tensors
import Testing

@testable import Networks

@Suite("GradientPool") struct GradientPoolTests {
  private static func shape(_ batch: Int, _ channels: Int) -> Shape {
    Shape(batch: batch, channels: channels, height: 4, width: 4)
  }

  @Test("a chain goes to and fro between two blocks, whatever the shapes")
  func chain() {
    let pool = GradientPool()
    let widths = [16, 64, 32, 128, 16, 96]
    func backward() -> Set<UInt> {
      var places: Set<UInt> = []
      var dy = pool.take(Self.shape(2, 16), .blocked, capacity: 2)
      for width in widths {
        let dx = pool.take(Self.shape(2, width), width == 32 ? .flat : .blocked, capacity: 2)
        dx.values.update(repeating: 1)
        #expect(dx.pointer != dy.pointer && dx.count == 2 * width * 16)
        places.insert(UInt(bitPattern: dx.pointer))
        pool.giveBack(dy)
        dy = dx
      }
      pool.giveBack(dy)
      return places
    }
    _ = (0..<3).map { _ in backward() }
    let steady = backward()
    #expect(steady.count == 2 && backward() == steady)
  }

  @Test("a planned place is taken once, if it is large enough")
  func place() {
    let pool = GradientPool()
    let memory = TensorMemory(count: 1024)
    pool.place = PlannedPlace(memory: memory, offset: 512, floats: 512)
    let large = pool.take(Self.shape(3, 16), .blocked, capacity: 3)
    #expect(large.memory !== memory && !large.sharesMemory)
    let small = pool.take(Self.shape(1, 16), .blocked, capacity: 2)
    #expect(small.memory === memory && small.pointer == memory.pointer + 512 && small.capacity == 2)
    let second = pool.take(Self.shape(1, 16), .blocked, capacity: 2)
    #expect(second.memory !== memory)
    // What lay in the plan's block leaves it; a block of one's own is used again.
    let own = large.memory
    for tensor in [large, small, second] { pool.giveBack(tensor) }
    #expect(small.memory == nil)
    #expect(pool.take(Self.shape(3, 16), .blocked, capacity: 3).memory === own)
  }

  @Test("a smaller batch needs no new memory")
  func smallerBatch() {
    let pool = GradientPool()
    let tensor = pool.take(Self.shape(2, 16), .blocked, capacity: 5)
    #expect(tensor.shape.batch == 2 && tensor.capacity == 5)
    let pointer = tensor.pointer
    pool.giveBack(tensor)
    #expect(pool.take(Self.shape(5, 16), .blocked, capacity: 5).pointer == pointer)
  }
}
