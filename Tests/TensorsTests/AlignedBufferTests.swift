import Tensors
import Testing

@Suite struct AlignedBufferTests {
  @Test(
    "zeroed, writable to its end and aligned: to a cache line, from 4 MiB on to a huge page",
    arguments: [(0, 64), (1, 64), (1000, 64), ((1 << 20) - 1, 64), (1 << 20, 2 << 20), (3_000_001, 2 << 20)])
  func alignment(count: Int, alignment: UInt) {
    let buffer = AlignedBuffer<Float>(count: count)
    #expect(buffer.count == count && UInt(bitPattern: buffer.pointer) % alignment == 0)
    let values = UnsafeMutableBufferPointer(start: buffer.pointer, count: count)
    #expect(values.allSatisfy { $0 == 0 })
    values.update(repeating: 1)
    #expect(values.reduce(0, +) == Float(count))
  }
}
