import Glibc

/// An owned block of memory aligned to 64 bytes (a cache line, and a whole AVX-512 register), zeroed at birth.
///
/// Large blocks are aligned to huge pages of 2 MiB, which the system is asked to give (transparent huge pages, also where
/// they must be asked for). The zeros touch every page, so that no training step waits for one.
/// Non-copyable: whoever holds it frees it. Tensors share one through a class.
public struct AlignedBuffer<Element: BitwiseCopyable>: ~Copyable {
  /// First element.
  public let pointer: UnsafeMutablePointer<Element>
  /// Number of elements.
  public let count: Int

  private static var hugePageBytes: Int { 2 << 20 }
  // Below, the unaligned ends would take more than huge pages give.
  private static var largeBytes: Int { 2 * hugePageBytes }

  /// Allocates `count` zeroed elements. Traps if the system has no memory left.
  public init(count: Int) {
    precondition(count >= 0, "AlignedBuffer: negative count \(count)")
    let byteCount = max(count * MemoryLayout<Element>.stride, 1)
    let isLarge = byteCount >= Self.largeBytes
    let raw = UnsafeMutableRawPointer.allocate(
      byteCount: (byteCount + 63) / 64 * 64, alignment: isLarge ? Self.hugePageBytes : 64)
    // Advice only: without huge pages the block is as good, but slower.
    if isLarge { _ = madvise(raw, byteCount, MADV_HUGEPAGE) }
    memset(raw, 0, byteCount)
    self.pointer = raw.bindMemory(to: Element.self, capacity: max(count, 1))
    self.count = count
  }

  deinit { UnsafeMutableRawPointer(pointer).deallocate() }
}
