import Tensors
import TestSupport
import Testing

@testable import Networks

@Suite struct LinearTests {
  /// [images, inputs, outputs]: every size of a tile and of a part that is left over, rows that are aligned
  /// and rows that are not, one column, no image, more images than one group of sums holds, and more than our
  /// own products take.
  static let extents = [
    [3, 37, 5], [1, 700, 130], [5, 16, 300], [0, 8, 4], [1, 1, 1], [7, 513, 1], [2, 48, 1000],
    [16, 1072, 33], [11, 97, 70], [33, 300, 34], [48, 65, 9], [49, 520, 40],
  ]

  @Test(
    "output and gradients match explicit loops for any number of threads", arguments: extents, [true, false])
  func oracle(_ extents: [Int], addsToGradients: Bool) {
    let (batch, inputs, outputs) = (extents[0], extents[1], extents[2])
    let shape = Shape(batch: batch, features: inputs)
    let x = randomTensor(shape, .flat, seed: 1)
    let dy = randomTensor(Shape(batch: batch, features: outputs), .flat, seed: 2)
    let weights = randomValues(inputs * outputs, seed: 3)
    let bias = randomValues(outputs, seed: 4)

    var y = [Double](repeating: 0, count: batch * outputs)
    var dx = [Double](repeating: 0, count: batch * inputs)
    var dWeights = [Double](repeating: addsToGradients ? 1 : 0, count: inputs * outputs)
    var dBias = [Double](repeating: addsToGradients ? 1 : 0, count: outputs)
    for n in 0..<batch {
      for o in 0..<outputs {
        let upstream = Double(dy.values[n * outputs + o])
        var sum = Double(bias[o])
        for i in 0..<inputs {
          sum += Double(weights[o * inputs + i]) * Double(x.values[n * inputs + i])
          dx[n * inputs + i] += upstream * Double(weights[o * inputs + i])
          dWeights[o * inputs + i] += upstream * Double(x.values[n * inputs + i])
        }
        y[n * outputs + o] = sum
        dBias[o] += upstream
      }
    }

    let context = StepContext()
    context.addsToGradients = addsToGradients
    for run in onAllKernels({
      let layer = Linear("fc", inputs: inputs, outputs: outputs)
      let store = ParameterStore(layer.parameters)
      layer.weights.importValues(weights)
      layer.bias!.importValues(bias)
      // Gradients are added to what is there, or nothing of it remains.
      let before: Float = addsToGradients ? 1 : .nan
      layer.weights.gradients.update(repeating: before, count: weights.count)
      layer.bias!.gradients.update(repeating: before, count: outputs)
      let result = layer.forward(x, context).toArray()
      let gradient = layer.backward(dy, context)!
      withExtendedLifetime(store) {}
      return result + gradient.toArray() + layer.weights.exportGradients() + layer.bias!.exportGradients()
    }) {
      #expect(run.sameForAllThreads, "\(run.set)")
      // Each array by itself: a fault in one of small values must not hide behind the largest of another.
      var first = 0
      for expected in [y, dx, dWeights, dBias] {
        let found = Array(run.values[first..<first + expected.count])
        #expect(relativeDifference(found, expected) < 2e-6, "\(run.set)")
        first += expected.count
      }
    }
  }

  @Test("without a bias y is the product alone", arguments: [3, Linear.largestThinBatch + 1])
  func withoutBias(batch: Int) {
    let layer = Linear("fc", inputs: 20, outputs: 6, bias: false)
    let store = ParameterStore(layer.parameters)
    let x = randomTensor(Shape(batch: batch, features: 20), .flat, seed: 1)
    layer.weights.importValues(randomValues(120, seed: 2))
    let y = layer.forward(x, StepContext())
    // The output's memory is used again: what it held must not matter.
    y.fill(from: [Float](repeating: 5, count: batch * 6))
    let again = layer.forward(x, StepContext())
    let expected = (0..<batch * 6).map { at in
      (0..<20).reduce(0.0) {
        $0 + Double(x.values[at / 6 * 20 + $1]) * Double(layer.weights.values[at % 6 * 20 + $1])
      }
    }
    #expect(relativeDifference(again.toArray(), expected) < 2e-6)
    withExtendedLifetime(store) {}
  }

  @Test("gradients match finite differences", arguments: [true, false])
  func finiteDifferences(bias: Bool) throws {
    let layer = Linear("fc", inputs: 12, outputs: 7, bias: bias)
    let store = ParameterStore(layer.parameters)
    store.initialize(seed: 1)
    var check = GradientCheck()
    check.step = 0.1
    check.tolerance = 1e-4
    check.maximumSamples = 100
    let x = randomTensor(Shape(batch: 3, features: 12), .flat, seed: 5)
    let report = try check.run(layer, x, StepContext())
    #expect(report.passes, "\(report.mismatches)")
    #expect(report.checked == 36 + 84 + (bias ? 7 : 0))
  }

  @Test("a first layer computes no input gradient")
  func firstLayer() {
    let layer = Linear("fc", inputs: 4, outputs: 2)
    let store = ParameterStore(layer.parameters)
    layer.needsInputGradient = false
    let context = StepContext()
    let y = layer.forward(randomTensor(Shape(batch: 2, features: 4), .flat, seed: 1), context)
    #expect(layer.backward(y, context) == nil)
    withExtendedLifetime(store) {}
  }
}
