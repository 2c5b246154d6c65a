import Tensors
import TestSupport
import Testing

@Suite struct ConvolutionTests {
  /// What the oracle and the kernels both compute with.
  private struct Operands {
    let convolution: ConvolutionCase
    let x: [Float], dy: [Float], weights: [Float], bias: [Float]
    let oracle: ConvolutionOracle

    init(_ convolution: ConvolutionCase) {
      self.convolution = convolution
      let g = convolution.geometry
      x = randomValues(convolution.input.batch * convolution.input.features, seed: 1)
      dy = randomValues(convolution.output.batch * convolution.output.features, seed: 2)
      weights = randomValues(
        g.outputChannels * g.inputChannels / g.groups * g.kernelHeight * g.kernelWidth, seed: 3)
      bias = randomValues(g.outputChannels, seed: 4)
      oracle = ConvolutionOracle(g, input: convolution.input)
    }

    func tensor(_ values: [Float], _ shape: Shape, _ layout: Layout) -> Tensor {
      let tensor = Tensor(shape, layout)
      tensor.fill(from: values)
      return tensor
    }

    var input: Tensor { tensor(x, convolution.input, convolution.layout) }
    var outputGradient: Tensor { tensor(dy, convolution.output, .blocked) }

    /// Number of floats of the stored weights, and the place of each canonical one.
    var storedWeights: (count: Int, places: [Int]) {
      let g = convolution.geometry
      let taps = g.kernelHeight * g.kernelWidth
      let inputs = g.inputChannels / g.groups
      let outputBlocks = (g.outputChannels + 15) / 16
      let blockedInputs = g.expandsGroups ? g.inputChannels : inputs
      let rows = convolution.layout == .interleaved ? inputs : (blockedInputs + 15) / 16 * 16
      let places = weights.indices.map { index -> Int in
        let (tap, i, o) = (index % taps, index / taps % inputs, index / taps / inputs)
        let first = o / 16 * rows * taps * 16 + o % 16
        if convolution.layout == .interleaved { return first + (tap * inputs + i) * 16 }
        let input = g.expandsGroups ? o / (g.outputChannels / g.groups) * inputs + i : i
        return first + (input / 16 * taps + tap) * 256 + input % 16 * 16
      }
      return (outputBlocks * rows * taps * 16, places)
    }

    func stored(_ canonical: [Float]) -> AlignedBuffer<Float> {
      let (count, places) = storedWeights
      let buffer = AlignedBuffer<Float>(count: count)
      for (place, value) in zip(places, canonical) { buffer.pointer[place] = value }
      return buffer
    }

    func blocked(_ vector: [Float]) -> AlignedBuffer<Float> {
      let buffer = AlignedBuffer<Float>(count: (vector.count + 15) / 16 * 16)
      for (i, value) in vector.enumerated() { buffer.pointer[i] = value }
      return buffer
    }
  }

  /// A workspace full of NaN: whoever reads what was not written before is seen.
  private func poisonedWorkspace() -> Workspace {
    let workspace = Workspace()
    let count = 1 << 18
    workspace.floats(count).update(repeating: .nan, count: count)
    return workspace
  }

  /// Largest error relative to the sum of the magnitudes of the terms; infinite for NaN or wrong counts.
  ///
  /// With Winograd's tiles an error comes from all products of a tile, also those that cancel: it is taken relative to
  /// the largest of these sums.
  private func worstError(
    _ values: [Float], _ expected: ConvolutionOracle.Sums, _ algorithm: ConvolutionAlgorithm = .direct
  ) -> Double {
    guard values.count == expected.values.count else { return .infinity }
    let largest = expected.magnitudes.max() ?? 0
    var worst = 0.0
    for i in values.indices {
      let error = abs(Double(values[i]) - expected.values[i])
      let magnitude = algorithm == .direct ? expected.magnitudes[i] : largest
      if !(error <= 1e-7 * magnitude) {
        worst = max(worst, error.isNaN ? .infinity : error / max(magnitude, 1e-30))
      }
    }
    return worst
  }

  /// Bound of the error relative to the magnitudes of the terms: the larger tiles' transforms cost some of a digit.
  private func bound(_ algorithm: ConvolutionAlgorithm) -> Double {
    switch algorithm {
    case .direct: 1e-5
    case .winograd4: 2e-6
    case .winograd6, .automatic: 1e-5
    }
  }

  @Test("forward matches the loop oracle on every instruction set", arguments: ConvolutionCase.allAlgorithms)
  func forward(_ convolution: ConvolutionCase, _ algorithm: ConvolutionAlgorithm) {
    let operands = Operands(convolution)
    let expected = operands.oracle.forward(operands.x, operands.weights, operands.bias)
    let x = operands.input
    let weights = operands.stored(operands.weights)
    let bias = operands.blocked(operands.bias)
    let y = Tensor(convolution.output, .blocked)
    for run in onAllKernels({
      y.values.update(repeating: .nan)
      convolutionForward(
        x, weights: weights.pointer, bias: bias.pointer, convolution.geometry, algorithm, into: y,
        workspace: poisonedWorkspace())
      #expect(paddingIsZero(y))
      return y.toArray()
    }) {
      #expect(worstError(run.values, expected, algorithm) <= bound(algorithm), "\(run.set)")
      #expect(run.sameForAllThreads, "\(run.set)")
    }
  }

  @Test(
    "backward-data matches the loop oracle on every instruction set", arguments: ConvolutionCase.allAlgorithms
  )
  func backwardData(_ convolution: ConvolutionCase, _ algorithm: ConvolutionAlgorithm) {
    let operands = Operands(convolution)
    let expected = operands.oracle.backwardData(operands.dy, operands.weights)
    let dy = operands.outputGradient
    let weights = operands.stored(operands.weights)
    let dx = Tensor(convolution.input, convolution.layout)
    for run in onAllKernels({
      dx.values.update(repeating: .nan)
      convolutionBackwardData(
        dy, weights: weights.pointer, convolution.geometry, algorithm, into: dx,
        workspace: poisonedWorkspace())
      #expect(paddingIsZero(dx))
      return dx.toArray()
    }) {
      #expect(worstError(run.values, expected, algorithm) <= bound(algorithm), "\(run.set)")
      #expect(run.sameForAllThreads, "\(run.set)")
    }
  }

  @Test(
    "backward-weights adds what the loop oracle says on every instruction set",
    arguments: ConvolutionCase.allAlgorithms)
  func backwardWeights(_ convolution: ConvolutionCase, _ algorithm: ConvolutionAlgorithm) {
    let operands = Operands(convolution)
    var expected = operands.oracle.backwardWeights(operands.x, operands.dy)
    var expectedBias = operands.oracle.backwardBias(operands.dy)
    for i in expected.values.indices { expected.values[i] += Double(operands.weights[i]) }
    for i in expected.values.indices { expected.magnitudes[i] += Double(abs(operands.weights[i])) }
    for i in expectedBias.values.indices { expectedBias.values[i] += Double(operands.bias[i]) }
    for i in expectedBias.values.indices { expectedBias.magnitudes[i] += Double(abs(operands.bias[i])) }
    let (storedCount, places) = operands.storedWeights
    let (x, dy) = (operands.input, operands.outputGradient)
    for run in onAllKernels({
      let gradients = operands.stored(operands.weights)
      let biasGradients = operands.blocked(operands.bias)
      convolutionBackwardWeights(
        x, dy, convolution.geometry, algorithm, weightGradients: gradients.pointer,
        biasGradients: biasGradients.pointer, workspace: poisonedWorkspace())
      var padding = Array(UnsafeBufferPointer(start: gradients.pointer, count: storedCount))
      let result = places.map { padding[$0] }
      for place in places { padding[place] = 0 }
      #expect(padding.allSatisfy { $0 == 0 }, "padding and what lies outside the groups")
      let bias = (0..<biasGradients.count).map { biasGradients.pointer[$0] }
      #expect(bias[operands.bias.count...].allSatisfy { $0 == 0 })
      return result + bias.prefix(operands.bias.count)
    }) {
      let count = operands.weights.count
      #expect(
        worstError(Array(run.values.prefix(count)), expected, algorithm) <= bound(algorithm), "\(run.set)")
      #expect(worstError(Array(run.values.dropFirst(count)), expectedBias) <= 1e-5, "\(run.set)")
      #expect(run.sameForAllThreads, "\(run.set)")
    }
  }

  @Test(
    "gradients replace what the arrays held where nothing is to be added",
    arguments: ConvolutionCase.allAlgorithms)
  func replacedGradients(_ convolution: ConvolutionCase, _ algorithm: ConvolutionAlgorithm) {
    let operands = Operands(convolution)
    let (x, dy) = (operands.input, operands.outputGradient)
    let zeros = [Float](repeating: 0, count: operands.weights.count)
    let outputs = operands.bias.count
    let gradients = { (adding: Bool, initial: Float) -> [Float] in
      let weights = operands.stored(zeros.map { $0 + initial })
      let bias = operands.blocked([Float](repeating: initial, count: outputs))
      convolutionBackwardWeights(
        x, dy, convolution.geometry, algorithm, adding: adding, weightGradients: weights.pointer,
        biasGradients: bias.pointer, workspace: poisonedWorkspace())
      return (0..<weights.count).map { weights.pointer[$0] } + (0..<bias.count).map { bias.pointer[$0] }
    }
    let replaced = onAllKernels { gradients(false, .nan) }
    let added = onAllKernels { gradients(true, 0) }
    for (run, expected) in zip(replaced, added) {
      #expect(run.values == expected.values && run.sameForAllThreads, "\(run.set)")
    }
  }

  @Test(
    "the backward of a ReLU below is done on the way",
    arguments: ConvolutionCase.allAlgorithms.filter { $0.0.layout == .blocked })
  func rectifiedInput(_ convolution: ConvolutionCase, _ algorithm: ConvolutionAlgorithm) {
    let operands = Operands(convolution)
    let dy = operands.outputGradient
    let x = operands.input
    let weights = operands.stored(operands.weights)
    let dx = Tensor(convolution.input, .blocked)
    let gradient = { (rectified: Tensor?) -> [Float] in
      dx.values.update(repeating: .nan)
      convolutionBackwardData(
        dy, weights: weights.pointer, convolution.geometry, algorithm, rectified: rectified, into: dx,
        workspace: poisonedWorkspace())
      return dx.toArray()
    }
    for (masked, plain) in zip(onAllKernels { gradient(x) }, onAllKernels { gradient(nil) }) {
      #expect(masked.values == zip(plain.values, operands.x).map { $1 > 0 ? $0 : 0 }, "\(masked.set)")
      #expect(masked.sameForAllThreads, "\(masked.set)")
    }
  }

  @Test("the choice of the algorithm follows the map, the kernel and the instruction set, not the batch")
  func choice() {
    let choose = { (extent: Int, kernel: Int, channels: Int, stride: Int, batch: Int) in
      withKernels(.portable) {
        ConvolutionPass.allCases.map {
          ConvolutionGeometry(
            inputChannels: channels, outputChannels: 32, kernel: kernel, stride: stride, padding: kernel / 2
          ).algorithm(
            $0, input: Shape(batch: batch, channels: channels, height: extent, width: extent), .blocked,
            .automatic)
        }
      }
    }
    let all = { (algorithm: ConvolutionAlgorithm) in [algorithm, algorithm, algorithm] }
    #expect(choose(224, 3, 64, 1, 16) == all(.winograd6))
    #expect(choose(13, 3, 384, 1, 16) == all(.winograd6))
    #expect(choose(27, 5, 64, 1, 16) == all(.winograd6))
    #expect(choose(6, 3, 64, 1, 16) == all(.winograd4))
    #expect(choose(2, 3, 64, 1, 16) == all(.winograd4))
    // Ranks with different shares of a batch compute alike.
    #expect(choose(7, 3, 64, 1, 1) == all(.winograd6))
    #expect(choose(7, 3, 64, 1, 16) == all(.winograd6))
    #expect(choose(1, 3, 64, 1, 16) == all(.direct))
    #expect(choose(56, 3, 64, 2, 16) == all(.direct))
    #expect(choose(56, 1, 64, 1, 16) == all(.direct))
    #expect(choose(56, 7, 64, 1, 16) == all(.direct))
    let image = ConvolutionGeometry(inputChannels: 3, outputChannels: 64, kernel: 3, padding: 1)
    let shape = Shape(batch: 1, channels: 3, height: 32, width: 32)
    #expect(image.algorithm(.forward, input: shape, .interleaved, .winograd6) == .direct)
    let reference = withKernels(.reference) {
      image.algorithm(.forward, input: shape, .blocked, .winograd6)
    }
    #expect(reference == .direct)
  }

  @Test("without a bias the sum starts at zero, and a fused ReLU clips it but keeps NaN")
  func forwardVariants() throws {
    for algorithm in ConvolutionAlgorithm.allCases { try forwardVariants(algorithm) }
  }

  private func forwardVariants(_ algorithm: ConvolutionAlgorithm) throws {
    let convolution = try #require(
      ConvolutionCase.all.first { $0.title == "many input channels: sums in chunks" })
    let operands = Operands(convolution)
    let expected = operands.oracle.forward(operands.x, operands.weights, nil)
    var clipped = expected
    clipped.values = expected.values.map { max($0, 0) }
    #expect(clipped.values != expected.values)
    let x = operands.input
    let weights = operands.stored(operands.weights)
    let y = Tensor(convolution.output, .blocked)
    for run in onAllKernels({
      x.fill(from: operands.x)
      let compute = { (relu: Bool) in
        convolutionForward(
          x, weights: weights.pointer, bias: nil, convolution.geometry, algorithm, relu: relu, into: y,
          workspace: poisonedWorkspace())
        return y.toArray()
      }
      let plain = compute(false)
      let relu = compute(true)
      x[0, 0, 0, 0] = .nan
      #expect(compute(true)[0].isNaN)
      return plain + relu
    }) {
      let half = run.values.count / 2
      #expect(
        worstError(Array(run.values.prefix(half)), expected, algorithm) <= bound(algorithm), "\(run.set)")
      #expect(
        worstError(Array(run.values.suffix(half)), clipped, algorithm) <= bound(algorithm), "\(run.set)")
      #expect(run.values.suffix(half).allSatisfy { $0 >= 0 }, "\(run.set)")
    }
  }

  @Test("more threads than work changes nothing", arguments: InstructionSet.available)
  func moreThreadsThanWork(_ set: InstructionSet) throws {
    let convolution = try #require(ConvolutionCase.all.first { $0.title == "17 channels, odd extents" })
    let operands = Operands(convolution)
    let (x, dy) = (operands.input, operands.outputGradient)
    let weights = operands.stored(operands.weights)
    let allPasses = { (threads: Int) -> [Float] in
      withKernels(set, threads: threads) {
        let y = Tensor(convolution.output, .blocked)
        let dx = Tensor(convolution.input, .blocked)
        let gradients = operands.stored([])
        let workspace = poisonedWorkspace()
        convolutionForward(
          x, weights: weights.pointer, bias: nil, convolution.geometry, into: y, workspace: workspace)
        convolutionBackwardData(
          dy, weights: weights.pointer, convolution.geometry, into: dx, workspace: workspace)
        convolutionBackwardWeights(
          x, dy, convolution.geometry, weightGradients: gradients.pointer, biasGradients: nil,
          workspace: workspace)
        return y.toArray() + dx.toArray() + (0..<gradients.count).map { gradients.pointer[$0] }
      }
    }
    let alone = allPasses(1)
    #expect(alone.contains { $0 != 0 })
    #expect(allPasses(24) == alone)
  }

  @Test("output extents are floor((H + padding − kernel) / stride) + 1")
  func outputShape() {
    let alexnet = ConvolutionGeometry(inputChannels: 3, outputChannels: 64, kernel: 11, stride: 4, padding: 2)
    #expect(
      alexnet.outputShape(for: Shape(batch: 5, channels: 3, height: 224, width: 229))
        == Shape(batch: 5, channels: 64, height: 55, width: 56))
    let asymmetric = ConvolutionGeometry(
      inputChannels: 1, outputChannels: 2, kernel: (2, 3), stride: (3, 1),
      padding: .init(top: 0, bottom: 1, left: 2, right: 0))
    #expect(
      asymmetric.outputShape(for: Shape(batch: 0, channels: 1, height: 7, width: 4))
        == Shape(batch: 0, channels: 2, height: 3, width: 4))
  }

  @Test(
    "groups are expanded where they do not fill blocks",
    arguments: [(32, 32, 2, false), (48, 32, 2, true), (32, 16, 2, true), (24, 24, 1, false)])
  func expandsGroups(_ inputs: Int, _ outputs: Int, _ groups: Int, _ expected: Bool) {
    let geometry = ConvolutionGeometry(
      inputChannels: inputs, outputChannels: outputs, kernel: 3, groups: groups)
    #expect(geometry.expandsGroups == expected)
  }

  @Test("shapes that do not fit are a programmer's fault")
  func traps() async {
    await #expect(processExitsWith: .failure) {
      _ = ConvolutionGeometry(inputChannels: 4, outputChannels: 6, kernel: 3, groups: 4)
    }
    await #expect(processExitsWith: .failure) {
      _ = ConvolutionGeometry(inputChannels: 3, outputChannels: 6, kernel: 5, padding: 1)
        .outputShape(for: Shape(batch: 1, channels: 3, height: 2, width: 9))
    }
    await #expect(processExitsWith: .failure) {
      _ = ConvolutionGeometry(inputChannels: 3, outputChannels: 6, kernel: 1)
        .outputShape(for: Shape(batch: 1, channels: 4, height: 2, width: 2))
    }
  }
}
