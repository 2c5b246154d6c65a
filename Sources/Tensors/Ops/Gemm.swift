import CKernels
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

/// The side of C along which a product is cut.
public enum GemmCut: Sendable {
  case rows, columns
}

/// The same, cut into pieces of `length` rows or columns of C for the thread pool, each a product of its own: the result
/// does not depend on the number of threads.
public func gemm(
  m: Int, n: Int, k: Int, _ a: MatrixView, _ b: MatrixView, beta: Float, into c: UnsafeMutablePointer<Float>,
  rowStride: Int, cut: GemmCut, every length: Int
) {
  var pieces = GemmPieces(
    m: m, n: n, k: k, a: a, b: b, beta: beta, c: c, rowStride: rowStride, cut: cut, length: length)
  let count = ((cut == .rows ? m : n) + length - 1) / length
  // A structure at an address and not a closure, which would be allocated.
  withUnsafeMutablePointer(to: &pieces) { pointer in
    ck_parallel(
      Int64(count),
      { pieces, index in pieces!.assumingMemoryBound(to: GemmPieces.self).pointee.run(Int(index)) }, pointer)
  }
}

private struct GemmPieces {
  let m: Int, n: Int, k: Int
  let a: MatrixView, b: MatrixView
  let beta: Float
  let c: UnsafeMutablePointer<Float>
  let rowStride: Int
  let cut: GemmCut
  let length: Int

  func run(_ index: Int) {
    let first = index * length
    switch cut {
    case .rows:
      var part = a
      part.pointer += a.transposed ? first : first * a.rowStride
      gemm(
        m: min(length, m - first), n: n, k: k, part, b, beta: beta, into: c + first * rowStride,
        rowStride: rowStride)
    case .columns:
      var part = b
      part.pointer += b.transposed ? first * b.rowStride : first
      gemm(
        m: m, n: min(length, n - first), k: k, a, part, beta: beta, into: c + first, rowStride: rowStride)
    }
  }
}
