import Tensors

/// Convolution in explicit loops over Double, on arrays in canonical order: maps [N, C, H, W], weights
/// [O, C/groups, kh, kw].
public struct ConvolutionOracle {
  private let geometry: ConvolutionGeometry
  private let input: Shape
  private let output: Shape

  /// The oracle of one geometry on one input shape.
  public init(_ geometry: ConvolutionGeometry, input: Shape) {
    self.geometry = geometry
    self.input = input
    output = geometry.outputShape(for: input)
  }

  /// A result with the sum of the magnitudes of its terms, to which rounding errors are relative.
  public struct Sums {
    /// The results, in canonical order.
    public var values: [Double]
    /// Σ |term| of each result.
    public var magnitudes: [Double]

    init(count: Int) {
      values = Array(repeating: 0, count: count)
      magnitudes = values
    }

    fileprivate mutating func add(_ term: Double, at index: Int) {
      values[index] += term
      magnitudes[index] += abs(term)
    }
  }

  /// y.
  public func forward(_ x: [Float], _ weights: [Float], _ bias: [Float]?) -> Sums {
    var y = Sums(count: output.batch * output.features)
    forEachProduct { xi, wi, yi in y.add(Double(x[xi]) * Double(weights[wi]), at: yi) }
    if let bias {
      for i in y.values.indices { y.add(Double(bias[i / output.cells % output.channels]), at: i) }
    }
    return y
  }

  /// dx.
  public func backwardData(_ dy: [Float], _ weights: [Float]) -> Sums {
    var dx = Sums(count: input.batch * input.features)
    forEachProduct { xi, wi, yi in dx.add(Double(dy[yi]) * Double(weights[wi]), at: xi) }
    return dx
  }

  /// dweights.
  public func backwardWeights(_ x: [Float], _ dy: [Float]) -> Sums {
    var dw = Sums(
      count: geometry.outputChannels * geometry.inputChannels / geometry.groups * geometry.kernelHeight
        * geometry.kernelWidth)
    forEachProduct { xi, wi, yi in dw.add(Double(x[xi]) * Double(dy[yi]), at: wi) }
    return dw
  }

  /// dbias.
  public func backwardBias(_ dy: [Float]) -> Sums {
    var sums = Sums(count: output.channels)
    for i in dy.indices { sums.add(Double(dy[i]), at: i / output.cells % output.channels) }
    return sums
  }

  /// Calls `body` with the places of every triple (x, weight, y) of which y is a sum.
  private func forEachProduct(_ body: (_ x: Int, _ weight: Int, _ y: Int) -> Void) {
    let g = geometry
    let inputs = g.inputChannels / g.groups
    let outputs = g.outputChannels / g.groups
    for n in 0..<output.batch {
      for o in 0..<output.channels {
        for h in 0..<output.height {
          for w in 0..<output.width {
            let y = ((n * output.channels + o) * output.height + h) * output.width + w
            for i in 0..<inputs {
              let channel = o / outputs * inputs + i
              for a in 0..<g.kernelHeight {
                let row = h * g.strideHeight + a - g.padding.top
                guard row >= 0 && row < input.height else { continue }
                for b in 0..<g.kernelWidth {
                  let column = w * g.strideWidth + b - g.padding.left
                  guard column >= 0 && column < input.width else { continue }
                  body(
                    ((n * input.channels + channel) * input.height + row) * input.width + column,
                    ((o * inputs + i) * g.kernelHeight + a) * g.kernelWidth + b, y)
                }
              }
            }
          }
        }
      }
    }
  }
}
