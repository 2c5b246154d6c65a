import Networks
import Tensors
import TestSupport
import Testing

@Suite struct AttributionTests {
  /// A network in evaluation, and one random image.
  private struct Case {
    let network: Network
    let context = StepContext()
    let image: Tensor
    /// The layer whose maps are decomposed.
    let top: Int

    init(_ name: String, size: Int, interpretable: Bool, widthDivisor: Int = 1) throws {
      var options = NetworkOptions(outputs: 3)
      options.widthDivisor = widthDivisor
      options.imageSize = size
      options.interpretable = interpretable ? InterpretableOptions() : nil
      network = try #require(Architecture.named(name)).build(options)
      network.store.initialize(seed: 3)
      // Biases that matter, and running statistics that are not 0 and 1.
      for (index, parameter) in network.store.parameters.enumerated() where parameter.shape.count == 1 {
        parameter.importValues(randomValues(parameter.count, seed: UInt64(index)).map { 0.5 + 0.2 * $0 })
      }
      for (index, state) in network.states.enumerated() where state.name.hasSuffix("running_var") {
        for i in state.values.indices { state.values[i] = 0.5 + Double((i * 7 + index) % 11) / 10 }
      }
      image = Tensor(Shape(batch: 1, channels: 3, height: size, width: size), .interleaved)
      for (index, value) in randomValues(size * size * 3, seed: 9).enumerated() {
        image.pointer[index] = value
      }
      context.mode = .evaluation
      let mask = network.layers.lastIndex { $0 is InterpretableMask }
      let relu = network.layers.lastIndex { $0 is ReLU && $0.name.hasPrefix("features") }
      top = mask ?? relu ?? 0
    }

    func logits() throws -> [Float] {
      let tensor = try network.forward(image, context)
      return (0..<network.outputs).map { tensor.pointer[$0] }
    }
  }

  @Test(
    "contributions and rest sum to the logit of evaluation; the rest does not depend on the maps",
    arguments: ["compact", "alexnet"], [true, false])
  func sumsToTheLogit(name: String, interpretable: Bool) throws {
    let test = try Case(name, size: name == "compact" ? 48 : 96, interpretable: interpretable)
    let expected = try test.logits()
    let attribution = Attribution(test.network, layerIndex: test.top)
    for output in 0..<3 {
      let result = try attribution.run(test.image, output: output, test.context)
      #expect(relativeDifference(result.logits, expected.map(Double.init)) < 1e-5)
      let sum = result.contributions.reduce(0, +) + result.rest
      #expect(abs(sum - Double(expected[output])) < 1e-5 * max(1, abs(sum)))
      #expect(result.contributions.contains { $0 > 0 } && result.contributions.contains { $0 < 0 })
      for filter in result.cells.indices {
        let cells = result.cells[filter].reduce(0) { $0 + Double($1) }
        #expect(abs(cells - result.contributions[filter]) < 1e-9)
        // A cell that is silent says nothing.
        for (value, share) in zip(result.maps[filter], result.cells[filter]) where value == 0 {
          #expect(share == 0)
        }
      }
    }
    let best = try attribution.run(test.image, test.context)
    let highest = expected.indices.max { expected[$0] < expected[$1] }!
    #expect(
      best.contributions == (try attribution.run(test.image, output: highest, test.context).contributions))
    // Evaluation is what it was.
    #expect(test.context.mode == .evaluation)
    #expect(try test.logits() == expected)
  }

  /// Everything above is piecewise linear: stronger maps change the logit by what the filters are said to contribute.
  @Test(
    "through residual and dense blocks, contributions are derivatives of the logit",
    arguments: [
      ("resnet18", "layer2.1"), ("resnet18", "layer4.0"), ("densenet121", "features.transition2.pool"),
    ])
  func throughBlocks(name: String, below: String) throws {
    let test = try Case(name, size: 64, interpretable: false, widthDivisor: 8)
    let top = try #require(test.network.layers.firstIndex { $0.name == below })
    let expected = try test.logits()
    let result = try Attribution(test.network, layerIndex: top).run(test.image, output: 1, test.context)
    #expect(relativeDifference(result.logits, expected.map(Double.init)) < 1e-5)
    // A twin whose layers nobody has planned for.
    let above = try Case(name, size: 64, interpretable: false, widthDivisor: 8)
    func logit(_ factor: (_ filter: Int) -> Float) throws -> Double {
      let shape = Attribution(test.network, layerIndex: top).mapShape
      var x = Tensor(shape, .blocked)
      x.fill(from: result.maps.enumerated().flatMap { filter, map in map.map { $0 * factor(filter) } })
      for layer in above.network.layers[(top + 1)...] { x = try layer.forward(x, above.context) }
      return Double(x.pointer[1])
    }
    #expect(abs(try logit { _ in 1 } - Double(expected[1])) < 1e-4 * max(1, abs(Double(expected[1]))))
    let scale = result.contributions.map(abs).max() ?? 0
    let step: Float = 1e-3
    var filters = Array(result.contributions.indices.prefix(12))
    filters.append(result.contributions.firstIndex { abs($0) == scale } ?? 0)
    for filter in filters {
      let difference =
        try logit { $0 == filter ? 1 + step : 1 } - logit { $0 == filter ? 1 - step : 1 }
      #expect(
        abs(difference / Double(2 * step) - result.contributions[filter]) < 0.05 * scale, "filter \(filter)")
    }
    let all = try logit { _ in 1 + step } - logit { _ in 1 - step }
    let sum = result.contributions.reduce(0, +)
    #expect(abs(all / Double(2 * step) - sum) < 0.05 * max(scale, abs(sum)))
  }

  /// On compact the top is affine: average pooling and one linear layer over max-pooled maps.
  @Test("the rest is the bias, and a filter's contribution what the logit loses without it")
  func ablation() throws {
    let test = try Case("compact", size: 48, interpretable: true)
    let result = try Attribution(test.network, layerIndex: test.top).run(test.image, output: 1, test.context)
    let weights = try #require(test.network.store.parameter(named: "classifier.1.weight")).exportValues()
    let bias = try #require(test.network.store.parameter(named: "classifier.1.bias")).exportValues()
    #expect(abs(result.rest - Double(bias[1])) < 1e-5)
    // A max pooling takes the strongest of 2×2 cells, the average pooling the mean of those.
    let width = 6
    for filter in [0, 5, 100] {
      let map = result.maps[filter]
      #expect(map.count == width * width)
      var pooled = 0.0
      for row in stride(from: 0, to: width, by: 2) {
        for column in stride(from: 0, to: width, by: 2) {
          let cells = [0, 1, width, width + 1].map { map[row * width + column + $0] }
          pooled += Double(cells.max()!) / Double(width * width / 4)
        }
      }
      let expected = pooled * Double(weights[192 + filter])
      #expect(abs(result.contributions[filter] - expected) < 1e-5 * max(1, abs(expected)))
    }
  }

  @Test("training after an attribution is that without it, and an observer stays")
  func leavesNoTrace() throws {
    func step(attributes: Bool) throws -> [Float] {
      let test = try Case("compact", size: 32, interpretable: true)
      if attributes {
        _ = try Attribution(test.network, layerIndex: test.top).run(test.image, test.context)
      }
      test.context.mode = .training
      test.context.globalBatchSize = 1
      test.context.sampleKeys = [0]
      test.context.categories = [1]
      test.context.signs = [-1, 1, -1]
      test.context.categoryCount = 3
      test.context.addsToGradients = false
      test.network.zeroAddedGradients()
      let logits = try test.network.forward(test.image, test.context)
      let result = SoftmaxCrossEntropy().evaluate(logits, test.context)
      try test.network.backward(result.gradient!, test.context) { _ in }
      return Array(test.network.store.gradients)
    }
    #expect(try step(attributes: true) == step(attributes: false))
  }
}
