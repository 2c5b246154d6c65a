import CKernels

/// Where each map of a batch is largest, and what it adds up to.
///
/// Kept per image and filter in blocks of 16 filters, [N, C/16, 16]; `lanes` is C with that padding.
public struct MapPeaks: ~Copyable {
  /// Filters with padding.
  public private(set) var lanes = 0
  /// Row of the first largest cell in row-major order, counted from 0, as a whole number.
  public private(set) var rows = AlignedBuffer<Float>(count: 0)
  /// Its column.
  public private(set) var columns = AlignedBuffer<Float>(count: 0)
  /// The largest value; not NaN where only later cells are.
  public private(set) var maxima = AlignedBuffer<Float>(count: 0)
  /// Sum over the cells.
  public private(set) var sums = AlignedBuffer<Double>(count: 0)

  /// Nothing measured yet.
  public init() {}

  /// Measures blocked maps x [N, C, H, W].
  public mutating func measure(_ x: Tensor) {
    precondition(x.layout == .blocked, "MapPeaks: blocked maps are needed, not \(x.layout)")
    lanes = x.shape.blocks * Tensor.blockWidth
    let count = x.shape.batch * lanes
    if rows.count < count {
      rows = AlignedBuffer(count: count)
      columns = AlignedBuffer(count: count)
      maxima = AlignedBuffer(count: count)
      sums = AlignedBuffer(count: count)
    }
    ck_peak(
      x.pointer,
      ck_maps_t(
        images: Int64(x.shape.batch), blocks: Int64(x.shape.blocks), height: Int64(x.shape.height),
        width: Int64(x.shape.width)), rows.pointer, columns.pointer, maxima.pointer, sums.pointer)
  }
}
