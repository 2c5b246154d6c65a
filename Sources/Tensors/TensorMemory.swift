/// A block of memory that tensors lie in: each in one of its own, or many in one that they share.
public final class TensorMemory {
  private let buffer: AlignedBuffer<Float>

  /// A zeroed block of `count` floats.
  public init(count: Int) { buffer = AlignedBuffer(count: count) }

  /// First value, aligned to 64 bytes.
  public var pointer: UnsafeMutablePointer<Float> { buffer.pointer }
  /// Values it has room for.
  public var count: Int { buffer.count }
}
