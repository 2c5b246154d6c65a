import Networks
import Tensors
import TestSupport
import Testing

@Suite struct ConvolutionLayerTests {
  private func layer(_ convolution: ConvolutionCase, bias: Bool = true) -> (Convolution, ParameterStore) {
    let layer = Convolution("features.0", convolution.geometry, input: convolution.layout, bias: bias)
    let store = ParameterStore(layer.parameters)
    for (index, parameter) in layer.parameters.enumerated() {
      parameter.importValues(randomValues(parameter.count, seed: UInt64(10 + index)))
    }
    return (layer, store)
  }

  @Test("gradients match finite differences", arguments: ConvolutionCase.all.filter { $0.input.batch > 0 })
  func finiteDifferences(_ convolution: ConvolutionCase) throws {
    let (layer, store) = layer(convolution)
    let x = randomTensor(convolution.input, convolution.layout, seed: 5)
    var check = GradientCheck()
    check.step = 0.25  // a convolution is linear in each operand
    check.tolerance = 1e-4
    check.maximumSamples = 25
    // Another suite's choice of kernels between two sums would look like a difference.
    let report = try withKernels(.current) {
      try withExtendedLifetime(store) { try check.run(layer, x, StepContext()) }
    }
    #expect(report.mismatches == [])
    #expect(report.passes)
  }

  @Test("canonical weights give the canonical convolution", arguments: ConvolutionCase.all)
  func canonicalWeights(_ convolution: ConvolutionCase) {
    let (layer, store) = layer(convolution)
    let x = randomTensor(convolution.input, convolution.layout, seed: 5)
    let y = layer.forward(x, StepContext())
    #expect(y.shape == convolution.output)
    let expected = ConvolutionOracle(convolution.geometry, input: convolution.input)
      .forward(x.toArray(), layer.weights.exportValues(), layer.bias?.exportValues())
    #expect(relativeDifference(y.toArray(), expected.values) <= 1e-5)
    #expect(store.parameterCount == layer.weights.count + convolution.geometry.outputChannels)
  }

  @Test("gradients are added to those that are there")
  func accumulates() throws {
    let (layer, store) = layer(ConvolutionCase.all[3])
    let context = StepContext()
    let x = randomTensor(ConvolutionCase.all[3].input, .blocked, seed: 5)
    let y = layer.forward(x, context)
    let dy = randomTensor(y.shape, .blocked, seed: 6)
    _ = layer.backward(dy, context)
    let once = Array(store.gradients)
    _ = layer.backward(dy, context)
    #expect(once.contains { $0 != 0 })
    #expect(zip(store.gradients, once).allSatisfy { abs($0 - 2 * $1) <= 1e-5 * abs($1) })
  }

  @Test("the first layer computes no gradient of its input, but those of its parameters")
  func firstLayer() {
    let (layer, store) = layer(ConvolutionCase.all[3])
    layer.needsInputGradient = false
    let context = StepContext()
    let y = layer.forward(randomTensor(ConvolutionCase.all[3].input, .blocked, seed: 5), context)
    #expect(layer.backward(randomTensor(y.shape, .blocked, seed: 6), context) == nil)
    #expect(store.gradients.contains { $0 != 0 })
  }

  @Test("a batch without images gives no gradients, and the next batch works")
  func emptyBatch() throws {
    let (layer, store) = layer(ConvolutionCase.all[3])
    let context = StepContext()
    let x = Tensor(ConvolutionCase.all[3].input.with(batch: 2), .blocked)
    x.setBatch(0)
    let y = layer.forward(x, context)
    #expect(y.shape.batch == 0)
    let dx = try #require(layer.backward(y, context))
    #expect(dx.shape == x.shape)
    #expect(store.gradients.allSatisfy { $0 == 0 })
    x.setBatch(2)
    x.values.update(repeating: 1)
    let next = layer.forward(x, context)
    #expect(next.shape.batch == 2)
    #expect(next.values.contains { $0 != 0 })
  }

  @Test("a second step uses the memory of the first")
  func steadyMemory() throws {
    let (layer, store) = layer(ConvolutionCase.all[3])
    let context = StepContext()
    let x = randomTensor(ConvolutionCase.all[3].input, .blocked, seed: 5)
    let dy = randomTensor(ConvolutionCase.all[3].output, .blocked, seed: 6)
    let step = { () throws -> (y: Tensor, dx: Tensor, workspace: Int) in
      let y = layer.forward(x, context)
      let dx = try #require(layer.backward(dy, context))
      defer { context.gradientPool.giveBack(dx) }
      return (y, dx, context.workspace.count)
    }
    let first = try withExtendedLifetime(store, step)
    let second = try step()
    #expect(second.y === first.y)
    #expect(second.dx === first.dx)
    #expect(first.workspace > 0 && second.workspace == first.workspace)
  }

  @Test("parameters carry names, layouts and multipliers")
  func parameters() {
    let geometry = ConvolutionGeometry(inputChannels: 32, outputChannels: 64, kernel: 3, groups: 2)
    let layer = Convolution(
      "conv2", geometry, learningRateMultipliers: (1, 2), weightDecayMultipliers: (0.5, 0.25))
    #expect(layer.parameters.map(\.name) == ["conv2.weight", "conv2.bias"])
    #expect(layer.parameters.map(\.shape) == [[64, 16, 3, 3], [64]])
    #expect(layer.parameters.map(\.layout) == [.blockedWeights, .blockedVector])
    #expect(layer.parameters.map(\.learningRateMultiplier) == [1, 2])
    #expect(layer.parameters.map(\.weightDecayMultiplier) == [0.5, 0.25])
    let expanded = ConvolutionGeometry(inputChannels: 24, outputChannels: 32, kernel: 1, groups: 2)
    #expect(Convolution("a", expanded, bias: false).parameters.map(\.layout) == [.expandedGroups(2)])
    let image = ConvolutionGeometry(inputChannels: 3, outputChannels: 8, kernel: 3)
    #expect(Convolution("b", image, input: .interleaved).weights.layout == .interleavedWeights)
  }
}
