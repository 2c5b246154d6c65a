import COpenBLAS

/// A row-major matrix in someone else's memory, possibly a part of a wider one.
public struct MatrixView {
  /// First value.
  public var pointer: UnsafePointer<Float>
  /// Values from the start of one row to that of the next.
  public var rowStride: Int
  /// Whether the product uses its transpose.
  public var transposed: Bool

  /// The matrix whose rows start at `pointer`, `pointer + rowStride`, ….
  public init(_ pointer: UnsafePointer<Float>, rowStride: Int, transposed: Bool = false) {
    self.pointer = pointer
    self.rowStride = rowStride
    self.transposed = transposed
  }
}

/// C [m, n] = A [m, k] · B [k, n] + beta · C in Float, by OpenBLAS on the calling thread (`CPU.configure` sets OpenBLAS
/// to one thread, so that a product never depends on the number of threads; parallelism is the caller's). For large batches: `CKernels` has thin products of its own.
///
/// A and B are taken after their transposition. Empty products are legal: with k = 0, C = beta · C.
public func gemm(
  m: Int, n: Int, k: Int, _ a: MatrixView, _ b: MatrixView, beta: Float, into c: UnsafeMutablePointer<Float>,
  rowStride: Int
) {
  guard m > 0 && n > 0 else { return }
  cblas_sgemm(
    CblasRowMajor, a.transposed ? CblasTrans : CblasNoTrans, b.transposed ? CblasTrans : CblasNoTrans,
    blasint(m), blasint(n), blasint(k), 1, a.pointer, blasint(a.rowStride), b.pointer, blasint(b.rowStride),
    beta, c, blasint(rowStride))
}
