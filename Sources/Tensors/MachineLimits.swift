import CKernels

/// What this process can reach at most on its threads, measured: the yardstick of profiles.
public struct MachineLimits: Sendable {
  /// Floating-point operations per second of multiply-adds in registers (two each), with the instruction set in use.
  public var operationsPerSecond: Double
  /// Bytes read and written per second by a copy in main memory.
  public var copyBytesPerSecond: Double

  /// Measures for about a quarter of a second, with 128 MiB of memory that are given back.
  public static func measure() -> MachineLimits {
    let count = 16 << 20
    let from = AlignedBuffer<Float>(count: count)
    let to = AlignedBuffer<Float>(count: count)
    return MachineLimits(
      operationsPerSecond: ck_multiply_add_rate(),
      copyBytesPerSecond: ck_copy_rate(from.pointer, to.pointer, Int64(count)))
  }
}
