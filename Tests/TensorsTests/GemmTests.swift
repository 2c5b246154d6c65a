import Tensors
import TestSupport
import Testing

@Suite struct GemmTests {
  @Test(
    "products of parts of matrices match explicit loops",
    arguments: [false, true], [false, true])
  func product(transposeA: Bool, transposeB: Bool) {
    let (m, n, k) = (5, 7, 9)
    let a = randomValues(200, seed: 1)
    let b = randomValues(200, seed: 2)
    let start = randomValues(200, seed: 3)
    let strides = (a: 13, b: 12, c: 11)
    for beta in [Float(0), 1] {
      var c = start
      gemm(
        m: m, n: n, k: k, MatrixView(a, rowStride: strides.a, transposed: transposeA),
        MatrixView(b, rowStride: strides.b, transposed: transposeB), beta: beta, into: &c,
        rowStride: strides.c)
      var expected = start.map(Double.init)
      for i in 0..<m {
        for j in 0..<n {
          var sum = Double(beta) * Double(start[i * strides.c + j])
          for l in 0..<k {
            let left = transposeA ? a[l * strides.a + i] : a[i * strides.a + l]
            let right = transposeB ? b[j * strides.b + l] : b[l * strides.b + j]
            sum += Double(left) * Double(right)
          }
          expected[i * strides.c + j] = sum
        }
      }
      #expect(relativeDifference(c, expected) < 1e-6)
      for (cut, length) in [(GemmCut.rows, 2), (.rows, 5), (.columns, 3), (.columns, 100)] {
        c = start
        gemm(
          m: m, n: n, k: k, MatrixView(a, rowStride: strides.a, transposed: transposeA),
          MatrixView(b, rowStride: strides.b, transposed: transposeB), beta: beta, into: &c,
          rowStride: strides.c, cut: cut, every: length)
        #expect(relativeDifference(c, expected) < 1e-6)
      }
    }
  }

  @Test("empty products leave or scale the result")
  func empty() {
    var c: [Float] = [1, 2, 3, 4]
    let nothing: [Float] = [0]
    gemm(
      m: 0, n: 2, k: 2, MatrixView(nothing, rowStride: 2), MatrixView(nothing, rowStride: 2), beta: 0,
      into: &c, rowStride: 2)
    #expect(c == [1, 2, 3, 4])
    gemm(
      m: 2, n: 2, k: 0, MatrixView(nothing, rowStride: 1), MatrixView(nothing, rowStride: 2), beta: 1,
      into: &c, rowStride: 2)
    #expect(c == [1, 2, 3, 4])
    gemm(
      m: 2, n: 2, k: 0, MatrixView(nothing, rowStride: 1), MatrixView(nothing, rowStride: 2), beta: 0,
      into: &c, rowStride: 2)
    #expect(c == [0, 0, 0, 0])
  }
}
