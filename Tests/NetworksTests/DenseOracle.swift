import Foundation
import Tensors

/// A dense block in explicit loops over Double, with the concatenations in arrays of their own: maps [N][C][cells].
struct DenseOracle {
  typealias Maps = [[[Double]]]

  /// gamma and beta of a normalisation, and what backward finds for them.
  struct Normalization {
    var gamma: [Double], beta: [Double]
    var gradients: [Double] = []
    var xhat: Maps = [], deviations: [Double] = []
    var mean: [Double] = [], unbiasedVariance: [Double] = []
    private var output: Maps = []

    init(gamma: [Double], beta: [Double]) {
      self.gamma = gamma
      self.beta = beta
    }

    /// max(gamma·xhat + beta, 0) with the statistics of the batch.
    mutating func forward(_ x: Maps) -> Maps {
      xhat = x
      output = x
      for c in gamma.indices {
        let values = x.flatMap { $0[c] }
        let count = Double(values.count)
        let mean = values.reduce(0, +) / count
        let squares = values.reduce(0) { $0 + pow($1 - mean, 2) }
        let deviation = sqrt(squares / count + 1e-5)
        deviations.append(deviation)
        self.mean.append(mean)
        unbiasedVariance.append(squares / (count - 1))
        for n in x.indices {
          xhat[n][c] = x[n][c].map { ($0 - mean) / deviation }
          output[n][c] = xhat[n][c].map { max(gamma[c] * $0 + beta[c], 0) }
        }
      }
      return output
    }

    mutating func backward(_ dy: Maps) -> Maps {
      var dx = dy
      var (dGamma, dBeta): ([Double], [Double]) = ([], [])
      for c in gamma.indices {
        let g = dy.indices.map { n in zip(dy[n][c], output[n][c]).map { $1 > 0 ? $0 : 0 } }
        let count = Double(g.count * g[0].count)
        let sum = g.joined().reduce(0, +)
        let product = g.indices.reduce(0) { $0 + zip(g[$1], xhat[$1][c]).reduce(0) { $0 + $1.0 * $1.1 } }
        for n in dy.indices {
          dx[n][c] = zip(g[n], xhat[n][c]).map {
            gamma[c] / deviations[c] * ($0 - sum / count - $1 * product / count)
          }
        }
        dGamma.append(product)
        dBeta.append(sum)
      }
      gradients = dGamma + dBeta
      return dx
    }
  }

  /// A convolution of [O, I, k, k] that keeps the extent.
  struct Weights {
    let values: [Double], inputs: Int, outputs: Int, kernel: Int
    let height: Int, width: Int
    var gradients: [Double] = []
    private var input: Maps = []

    init(_ values: [Double], inputs: Int, outputs: Int, kernel: Int, height: Int, width: Int) {
      (self.values, self.inputs, self.outputs, self.kernel) = (values, inputs, outputs, kernel)
      (self.height, self.width) = (height, width)
    }

    mutating func forward(_ x: Maps) -> Maps {
      input = x
      var y = x.map { _ in [[Double]](repeating: Array(repeating: 0, count: height * width), count: outputs) }
      forEachProduct { n, i, from, o, to, w in y[n][o][to] += x[n][i][from] * values[w] }
      return y
    }

    mutating func backward(_ dy: Maps) -> Maps {
      var dx = input.map { $0.map { $0.map { _ in 0.0 } } }
      var dw = values.map { _ in 0.0 }
      forEachProduct { n, i, from, o, to, w in
        dx[n][i][from] += dy[n][o][to] * values[w]
        dw[w] += dy[n][o][to] * input[n][i][from]
      }
      gradients = dw
      return dx
    }

    private func forEachProduct(
      _ body: (_ n: Int, _ i: Int, _ from: Int, _ o: Int, _ to: Int, _ w: Int) -> Void
    ) {
      for n in input.indices {
        for o in 0..<outputs {
          for i in 0..<inputs {
            for (a, b) in (0..<kernel * kernel).map({ ($0 / kernel, $0 % kernel) }) {
              for to in 0..<height * width {
                let (row, column) = (to / width + a - kernel / 2, to % width + b - kernel / 2)
                guard (0..<height).contains(row) && (0..<width).contains(column) else { continue }
                body(n, i, row * width + column, o, to, ((o * inputs + i) * kernel + a) * kernel + b)
              }
            }
          }
        }
      }
    }
  }

  /// Per dense layer: norm1, conv1, norm2, conv2; and the closing normalisation.
  var norms: [(Normalization, Weights, Normalization, Weights)]
  var closing: Normalization
  private var slices: [Maps] = []

  init(norms: [(Normalization, Weights, Normalization, Weights)], closing: Normalization) {
    self.norms = norms
    self.closing = closing
  }

  private static func concatenation(_ slices: [Maps]) -> Maps {
    slices[0].indices.map { n in slices.flatMap { $0[n] } }
  }

  mutating func forward(_ x: Maps) -> Maps {
    slices = [x]
    for index in norms.indices {
      var y = norms[index].0.forward(Self.concatenation(slices))
      y = norms[index].1.forward(y)
      y = norms[index].2.forward(y)
      slices.append(norms[index].3.forward(y))
    }
    return closing.forward(Self.concatenation(slices))
  }

  mutating func backward(_ dy: Maps) -> Maps {
    var gradient = closing.backward(dy)
    for index in norms.indices.reversed() {
      let channels = slices[...index].reduce(0) { $0 + $1[0].count }
      var g = norms[index].3.backward(gradient.map { Array($0[channels...]) })
      g = norms[index].2.backward(g)
      g = norms[index].1.backward(g)
      g = norms[index].0.backward(g)
      gradient = zip(gradient, g).map { zip($0[..<channels], $1).map { zip($0, $1).map(+) } }
    }
    return gradient
  }

  /// In the order of the block's parameters.
  var gradients: [Double] {
    norms.flatMap { $0.0.gradients + $0.1.gradients + $0.2.gradients + $0.3.gradients } + closing.gradients
  }
}
