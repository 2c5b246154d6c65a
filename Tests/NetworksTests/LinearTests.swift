import Networks
import Tensors
import TestSupport
import Testing

@Suite struct LinearTests {
  @Test(
    "output and gradients match explicit loops for any number of threads",
    arguments: [[3, 37, 5], [1, 700, 130], [5, 16, 300], [0, 8, 4]])
  func oracle(_ extents: [Int]) {
    let (batch, inputs, outputs) = (extents[0], extents[1], extents[2])
    let shape = Shape(batch: batch, features: inputs)
    let x = randomTensor(shape, .flat, seed: 1)
    let dy = randomTensor(Shape(batch: batch, features: outputs), .flat, seed: 2)
    let weights = randomValues(inputs * outputs, seed: 3)
    let bias = randomValues(outputs, seed: 4)

    var y = [Double](repeating: 0, count: batch * outputs)
    var dx = [Double](repeating: 0, count: batch * inputs)
    var dWeights = [Double](repeating: 1, count: inputs * outputs)
    var dBias = [Double](repeating: 1, count: outputs)
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
    for run in onAllKernels({
      let layer = Linear("fc", inputs: inputs, outputs: outputs)
      let store = ParameterStore(layer.parameters)
      layer.weights.importValues(weights)
      layer.bias!.importValues(bias)
      // Gradients are added to what is there.
      layer.weights.gradients.update(repeating: 1, count: weights.count)
      layer.bias!.gradients.update(repeating: 1, count: outputs)
      let result = layer.forward(x, context).toArray()
      let gradient = layer.backward(dy, context)!
      withExtendedLifetime(store) {}
      return result + gradient.toArray() + layer.weights.exportGradients() + layer.bias!.exportGradients()
    }) {
      #expect(run.sameForAllThreads, "\(run.set)")
      #expect(relativeDifference(run.values, y + dx + dWeights + dBias) < 2e-6, "\(run.set)")
    }
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
