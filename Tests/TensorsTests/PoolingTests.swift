import Tensors
import TestSupport
import Testing

/// A pooling problem; channel counts are deliberately no multiples of 16.
struct PoolingCase: CustomTestStringConvertible {
  var shape: Shape
  var window: PoolingWindow

  init(_ shape: [Int], _ window: PoolingWindow) {
    self.shape = Shape(batch: shape[0], channels: shape[1], height: shape[2], width: shape[3])
    self.window = window
  }

  var testDescription: String {
    "\(shape) kernel \(window.kernelHeight)x\(window.kernelWidth) stride \(window.strideHeight) ceil \(window.ceilMode)"
  }

  static let all = [
    PoolingCase([2, 20, 6, 6], PoolingWindow(kernel: 2, stride: 2)),
    PoolingCase([2, 16, 7, 9], PoolingWindow(kernel: 3, stride: 2)),
    PoolingCase([1, 5, 8, 8], PoolingWindow(kernel: 3, stride: 2, ceilMode: true)),
    PoolingCase([3, 3, 5, 7], PoolingWindow(kernel: 3, stride: 3, padding: 1, ceilMode: true)),
    PoolingCase(
      [2, 33, 6, 6],
      PoolingWindow(kernel: (3, 3), stride: (2, 2), padding: (0, 0, 1, 1))),
    PoolingCase(
      [1, 17, 5, 4],
      PoolingWindow(kernel: (3, 2), stride: (1, 3), padding: (2, 1, 0, 1), ceilMode: true)),
    PoolingCase([2, 4, 4, 4], PoolingWindow(kernel: 1, stride: 3, ceilMode: true)),
    PoolingCase([1, 18, 3, 5], PoolingWindow(kernel: (3, 5), stride: (1, 1))),
    PoolingCase([0, 18, 4, 4], PoolingWindow(kernel: 2, stride: 2)),
  ]
}

@Suite struct PoolingTests {
  @Test(
    "output extents are those of Caffe and PyTorch",
    arguments: [
      // size, kernel, stride, before, after, floor, ceil
      (112, 3, 2, 0, 0, 55, 56), (109, 3, 2, 0, 0, 54, 54), (13, 2, 2, 0, 0, 6, 7), (27, 3, 2, 0, 0, 13, 13),
      (26, 3, 2, 0, 1, 13, 13), (5, 3, 3, 1, 1, 2, 2), (4, 1, 3, 0, 0, 2, 2), (5, 1, 3, 0, 0, 2, 2),
      (6, 2, 3, 1, 1, 3, 3), (2, 2, 2, 1, 1, 2, 2), (3, 2, 2, 1, 1, 2, 2), (6, 5, 4, 0, 0, 1, 2),
    ])
  func outputExtent(size: Int, kernel: Int, stride: Int, before: Int, after: Int, floor: Int, ceil: Int) {
    let input = Shape(batch: 1, channels: 1, height: size, width: size)
    for (ceilMode, expected) in [(false, floor), (true, ceil)] {
      let window = PoolingWindow(
        kernel: (kernel, kernel), stride: (stride, stride), padding: (before, before, after, after),
        ceilMode: ceilMode)
      #expect(window.outputShape(for: input).height == expected, "ceil mode \(ceilMode)")
      #expect(window.outputShape(for: input).width == expected, "ceil mode \(ceilMode)")
    }
  }

  @Test("maximum and its gradient match explicit loops on every kernel", arguments: PoolingCase.all)
  func maximum(_ problem: PoolingCase) {
    // Few distinct values, so that ties occur and the first one must win.
    var source = RandomSource(seed: 7, purpose: .test)
    let x = Tensor(problem.shape, .blocked)
    x.fill(
      from: (0..<problem.shape.batch * problem.shape.features).map { _ in Float(source.index(below: 6)) - 3 })
    let dy = randomTensor(problem.window.outputShape(for: x.shape), .blocked, seed: 8)
    let (expectedY, expectedDX) = maximumOracle(x, dy, problem.window)
    for run in onAllKernels({
      let y = Tensor(dy.shape, .blocked)
      let dx = randomTensor(x.shape, .blocked, seed: 1)
      var winners = [UInt8](repeating: 0, count: y.count + 1)
      Pooling.maximum(x, problem.window, into: y, winners: &winners)
      Pooling.maximumBackward(dy, winners: winners, problem.window, into: dx)
      #expect(paddingIsZero(y) && paddingIsZero(dx))
      return y.toArray() + dx.toArray()
    }) {
      #expect(run.sameForAllThreads, "\(run.set)")
      #expect(relativeDifference(run.values, expectedY + expectedDX) < 1e-6, "\(run.set)")
    }
  }

  @Test("average and its gradient match explicit loops on every kernel", arguments: PoolingCase.all)
  func average(_ problem: PoolingCase) {
    let x = randomTensor(problem.shape, .blocked, seed: 3)
    let dy = randomTensor(problem.window.outputShape(for: x.shape), .blocked, seed: 4)
    for divisor in [PoolingWindow.Divisor.paddedCells, .mapCells] {
      let (expectedY, expectedDX) = averageOracle(x, dy, problem.window, divisor)
      for run in onAllKernels({
        let y = Tensor(dy.shape, .blocked)
        let dx = randomTensor(x.shape, .blocked, seed: 1)
        Pooling.average(x, problem.window, divisor: divisor, into: y)
        Pooling.averageBackward(dy, problem.window, divisor: divisor, into: dx)
        #expect(paddingIsZero(y) && paddingIsZero(dx))
        return y.toArray() + dx.toArray()
      }) {
        #expect(run.sameForAllThreads, "\(run.set)")
        #expect(relativeDifference(run.values, expectedY + expectedDX) < 1e-6, "\(run.set)")
      }
    }
  }

  @Test("a NaN in a window wins it, on every kernel")
  func notANumber() {
    let x = randomTensor(Shape(batch: 1, channels: 2, height: 4, width: 4), .blocked, seed: 5)
    x[0, 1, 2, 3] = .nan
    for run in onAllKernels({
      let y = Tensor(Shape(batch: 1, channels: 2, height: 2, width: 2), .blocked)
      var winners = [UInt8](repeating: 0, count: y.count)
      Pooling.maximum(x, PoolingWindow(kernel: 2, stride: 2), into: y, winners: &winners)
      return y.toArray()
    }) {
      #expect(
        run.values.map(\.isNaN) == [false, false, false, false, false, false, false, true], "\(run.set)")
    }
  }

  private func forEachWindow(
    _ y: Shape, _ body: (_ n: Int, _ c: Int, _ oh: Int, _ ow: Int) -> Void
  ) {
    for n in 0..<y.batch {
      for c in 0..<y.channels {
        for oh in 0..<y.height {
          for ow in 0..<y.width { body(n, c, oh, ow) }
        }
      }
    }
  }

  /// Cells of the map in the window of output (oh, ow).
  private func cells(_ x: Shape, _ window: PoolingWindow, _ oh: Int, _ ow: Int) -> [(h: Int, w: Int)] {
    var result: [(Int, Int)] = []
    for kh in 0..<window.kernelHeight {
      for kw in 0..<window.kernelWidth {
        let h = oh * window.strideHeight - window.padTop + kh
        let w = ow * window.strideWidth - window.padLeft + kw
        if h >= 0 && h < x.height && w >= 0 && w < x.width { result.append((h, w)) }
      }
    }
    return result
  }

  private func maximumOracle(_ x: Tensor, _ dy: Tensor, _ window: PoolingWindow) -> ([Double], [Double]) {
    var y: [Double] = []
    let shape = x.shape
    var dx = [Double](repeating: 0, count: shape.batch * shape.features)
    forEachWindow(dy.shape) { n, c, oh, ow in
      var best: (h: Int, w: Int)?
      for cell in cells(shape, window, oh, ow) {
        if let found = best, x[n, c, cell.h, cell.w] <= x[n, c, found.h, found.w] { continue }
        best = cell
      }
      y.append(Double(x[n, c, best!.h, best!.w]))
      dx[((n * shape.channels + c) * shape.height + best!.h) * shape.width + best!.w] += Double(
        dy[n, c, oh, ow])
    }
    return (y, dx)
  }

  private func averageOracle(
    _ x: Tensor, _ dy: Tensor, _ window: PoolingWindow, _ divisor: PoolingWindow.Divisor
  ) -> ([Double], [Double]) {
    var y: [Double] = []
    let shape = x.shape
    var dx = [Double](repeating: 0, count: shape.batch * shape.features)
    forEachWindow(dy.shape) { n, c, oh, ow in
      let inside = cells(shape, window, oh, ow)
      var count = inside.count
      if divisor == .paddedCells {
        let rows = (0..<window.kernelHeight).filter {
          oh * window.strideHeight + $0 < shape.height + window.padTop + window.padBottom
        }
        let columns = (0..<window.kernelWidth).filter {
          ow * window.strideWidth + $0 < shape.width + window.padLeft + window.padRight
        }
        count = rows.count * columns.count
      }
      y.append(inside.reduce(0) { $0 + Double(x[n, c, $1.h, $1.w]) } / Double(count))
      for cell in inside {
        dx[((n * shape.channels + c) * shape.height + cell.h) * shape.width + cell.w] +=
          Double(dy[n, c, oh, ow]) / Double(count)
      }
    }
    return (y, dx)
  }
}
