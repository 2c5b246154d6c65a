import Foundation
import Networks
import Tensors
import TestSupport
import Testing

@Suite struct LocalResponseNormalizationTests {
  private func expected(
    _ shape: Shape, _ x: [Float], _ dy: [Float], size: Int, kappa: Double, alpha: Double, beta: Double
  ) -> (y: [Double], dx: [Double]) {
    var y = [Double](repeating: 0, count: x.count)
    var dx = y
    func index(_ n: Int, _ c: Int, _ cell: Int) -> Int { (n * shape.channels + c) * shape.cells + cell }
    for n in 0..<shape.batch {
      for cell in 0..<shape.cells {
        func window(_ c: Int) -> Range<Int> {
          max(c - size / 2, 0)..<min(c + size / 2 + 1, shape.channels)
        }
        let s = (0..<shape.channels).map { c in
          kappa + alpha * window(c).reduce(0) { $0 + pow(Double(x[index(n, $1, cell)]), 2) }
        }
        for c in 0..<shape.channels {
          let at = index(n, c, cell)
          y[at] = Double(x[at]) * pow(s[c], -beta)
          // d y_d / d x_c = [c = d]·s_d^−β − 2αβ·x_d·x_c·s_d^(−β−1)
          for d in window(c) {
            let other = index(n, d, cell)
            let cross = 2 * alpha * beta * Double(x[other]) * Double(x[at]) * pow(s[d], -beta - 1)
            dx[at] += Double(dy[other]) * ((c == d ? pow(s[d], -beta) : 0) - cross)
          }
        }
      }
    }
    return (y, dx)
  }

  @Test(
    "output and gradient match explicit loops on every kernel",
    arguments: [
      ([2, 20, 3, 5], 5, 0.75), ([1, 33, 9, 9], 5, 0.75), ([2, 3, 2, 2], 7, 0.75), ([1, 18, 3, 3], 3, 0.5),
      ([1, 16, 2, 2], 1, 1.0), ([0, 4, 2, 2], 5, 0.75),
    ])
  func oracle(_ extents: [Int], size: Int, beta: Double) {
    let shape = Shape(batch: extents[0], channels: extents[1], height: extents[2], width: extents[3])
    let x = randomTensor(shape, .blocked, seed: 1, -3, 3)
    let dy = randomTensor(shape, .blocked, seed: 2)
    let (y, dx) = expected(
      shape, x.toArray(), dy.toArray(), size: size, kappa: 2, alpha: 0.25, beta: beta)
    for run in onAllKernels({
      let layer = LocalResponseNormalization(
        "norm", size: size, kappa: 2, alphaOfSum: 0.25, beta: Float(beta))
      let context = StepContext()
      let output = layer.forward(x, context)
      let gradient = layer.backward(dy, context)!
      #expect(paddingIsZero(output) && paddingIsZero(gradient))
      return output.toArray() + gradient.toArray()
    }) {
      #expect(run.sameForAllThreads, "\(run.set)")
      #expect(relativeDifference(run.values, y + dx) < 2e-6, "\(run.set)")
    }
  }

  @Test("the conventions differ by the window's size")
  func conventions() {
    let x = randomTensor(Shape(batch: 1, channels: 20, height: 2, width: 2), .blocked, seed: 3, 0, 50)
    let context = StepContext()
    let ofMean = LocalResponseNormalization("a", size: 5, kappa: 1, alphaOfMean: 1e-4, beta: 0.75)
    let ofSum = LocalResponseNormalization("b", size: 5, kappa: 1, alphaOfSum: 2e-5, beta: 0.75)
    let (a, b) = (ofMean.forward(x, context).toArray(), ofSum.forward(x, context).toArray())
    #expect(relativeDifference(a, b.map(Double.init)) < 1e-6)
    #expect(a != x.toArray())
  }

  @Test("gradient matches finite differences")
  func finiteDifferences() throws {
    let layer = LocalResponseNormalization("norm", size: 5, kappa: 1, alphaOfSum: 0.5, beta: 0.75)
    var check = GradientCheck()
    check.tolerance = 1e-3
    check.maximumSamples = 72
    let x = randomTensor(Shape(batch: 2, channels: 18, height: 1, width: 2), .blocked, seed: 4)
    let report = try check.run(layer, x, StepContext())
    #expect(report.passes && report.checked == 72, "\(report.mismatches)")
  }
}
