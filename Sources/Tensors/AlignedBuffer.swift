import Glibc

/// An owned block of memory aligned to 64 bytes (a cache line, and a whole AVX-512 register), zeroed at birth.
///
/// Non-copyable: whoever holds it frees it. Tensors share one through a class.
public struct AlignedBuffer<Element: BitwiseCopyable>: ~Copyable {
  /// First element.
  public let pointer: UnsafeMutablePointer<Element>
  /// Number of elements.
  public let count: Int

  /// Allocates `count` zeroed elements. Traps if the system has no memory left.
  public init(count: Int) {
    precondition(count >= 0, "AlignedBuffer: negative count \(count)")
    let byteCount = max(count * MemoryLayout<Element>.stride, 1)
    let raw = UnsafeMutableRawPointer.allocate(byteCount: (byteCount + 63) / 64 * 64, alignment: 64)
    memset(raw, 0, byteCount)
    self.pointer = raw.bindMemory(to: Element.self, capacity: max(count, 1))
    self.count = count
  }

  deinit { UnsafeMutableRawPointer(pointer).deallocate() }
}
