import Tensors
import TestSupport
import Testing

@testable import Networks

/// The authors' training loop on a small network, step by step, with the layers, losses and optimiser of this library.
final class GoldenTraining: LayerObserver {
  private let golden: GoldenCase
  private let network: Network
  private let context: StepContext
  private let rank: Int
  private let ranks: Int
  private let loss: any Loss
  private let labels: Int
  private let batchCapacity: Int
  private let tolerance: Double
  private let images: GoldenTensor
  private let signs: [Float]
  /// Number of the training iteration and images of its batch; nil while it validates.
  private var observed: (index: String, batchSize: Int)?

  /// Parameter of the network by its name in the file.
  private static let names = [
    "conv1_weight": "conv1.weight", "conv1_bias": "conv1.bias", "mask6_weight": "conv6.weight",
    "mask6_bias": "conv6.bias", "mask6_mask_weight": "mask6.decay", "mask7_weight": "conv7.weight",
    "mask7_bias": "conv7.bias", "mask7_mask_weight": "mask7.decay", "fc9_weight": "fc9.weight",
    "fc9_bias": "fc9.bias",
  ]

  static func check(_ golden: GoldenCase) throws { try GoldenTraining(golden).run() }

  /// The final weights and running peaks of every rank when each batch is cut into shares, gradients are summed.
  static func train(_ golden: GoldenCase, ranks: Int) throws -> [[Double]] {
    try ThreadedStatistics.run(ranks) { rank, exchange in
      let training = try GoldenTraining(golden, rank: rank, ranks: ranks, exchange: exchange)
      try training.run()
      let weights = training.network.store.parameters.flatMap { $0.exportValues().map { Double($0) } }
      return weights + training.network.states.flatMap { Array($0.values) }
    }
  }

  private init(
    _ golden: GoldenCase, rank: Int = 0, ranks: Int = 1, exchange: any StatisticsExchange = LocalStatistics()
  ) throws {
    self.golden = golden
    self.rank = rank
    self.ranks = ranks
    context = StepContext(exchange: exchange)
    images = try golden.tensor("input", "images")
    signs = try golden.tensor("input", "labels").floats
    let labels = Int(try golden.number("params", "labels"))
    self.labels = labels
    batchCapacity = Int(try golden.number("params", "batch_size"))
    tolerance = 10 * (try golden.number("float32_run_max_relative_difference")) + goldenTolerance
    let isSoftmax = golden.value("params", "loss")?.string == "ourloss_softmaxlog"
    loss = isSoftmax ? SoftmaxCrossEntropy(gradientFactor: Double(labels)) : Logistic()

    let side = Int(try golden.number("params", "n"))
    let first = Int(try golden.number("params", "C"))
    let second = Int(try golden.number("params", "C2"))
    let hidden = Int(try golden.number("params", "O"))
    var options = InterpretableOptions()
    options.formulation = .released(corrected: false)
    options.weight = try golden.number("params", "mag")
    func convolution(
      _ name: String, _ inputs: Int, _ outputs: Int, kernel: Int, padding: Int, input: Layout = .blocked,
      biasRate: Float = 2, biasDecay: Float = 0
    ) -> Convolution {
      let layer = Convolution(
        name,
        ConvolutionGeometry(
          inputChannels: inputs, outputChannels: outputs, kernel: kernel, padding: padding), input: input,
        learningRateMultipliers: (1, biasRate), weightDecayMultipliers: (1, biasDecay))
      // The tolerances are those of the sum itself; near-cancelling coefficients amplify what Winograd's tiles lose.
      layer.algorithm = .direct
      return layer
    }
    func mask(_ name: String, _ channels: Int, _ side: Int) -> InterpretableMask {
      InterpretableMask(
        name, shape: Shape(batch: 1, channels: channels, height: side, width: side), categories: labels,
        outputs: labels, options: options)
    }
    network = Network(
      name: "golden", inputShape: Shape(batch: 1, channels: 3, height: side, width: side),
      layers: [
        convolution("conv1", 3, first, kernel: 3, padding: 1, input: .interleaved, biasRate: 5, biasDecay: 1),
        ReLU("relu1"), mask("mask6", first, side),
        convolution("conv6", first, second, kernel: 3, padding: 1), ReLU("relu6"),
        MaxPooling("pool6", PoolingWindow(kernel: 2, stride: 2)), mask("mask7", second, side / 2),
        convolution("conv7", second, hidden, kernel: side / 2, padding: 0), ReLU("relu7"),
        convolution("fc9", hidden, labels, kernel: 1, padding: 0), Flatten("flatten"),
      ])
    for (key, name) in Self.names {
      let parameter = try #require(network.store.parameter(named: name))
      parameter.importValues(try golden.tensor("input", "initial", key).floats)
    }
    context.labelShares = try golden.tensor("density").values
  }

  private func run() throws {
    let optimizer = MomentumSGD(
      network.store, momentum: Float(try golden.number("params", "momentum")),
      weightDecay: Float(try golden.number("params", "weight_decay")))
    let rates = try golden.tensor("params", "learning_rate").values
    let iterations = try #require(golden.value("iterations")?.array)
    var validation = LossEvaluation()
    var validated = 0
    var isValidating = false
    var trained = 0
    for (index, iteration) in iterations.enumerated() {
      let batch = try golden.tensor("iterations", "\(index)", "batch").integers
      context.epoch = Int(try golden.number("iterations", "\(index)", "epoch"))
      if iteration["mode"]?.string == "train" {
        isValidating = false
        try train(batch, "\(index)")
        _ = optimizer.update(learningRate: Float(rates[context.epoch - 1]))
        if ranks == 1 { try checkWeights("\(index)") }
        trained += 1
      } else if ranks == 1 {
        if !isValidating { (validation, validated, isValidating) = (LossEvaluation(), 0, true) }
        context.mode = .evaluation
        let result = loss.evaluate(try network.forward(load(batch), context), context)
        validation.sum += result.sum
        validation.wrongSignCount += result.wrongSignCount
        validation.correctCount += result.correctCount
        validated += batch.count
      }
    }
    if ranks == 1 { #expect(trained > 0) }
    guard ranks == 1 && golden.value("final_val") != nil else { return }
    let perImage = try golden.number("final_val", "loss_per_image")
    #expect(abs(validation.sum / Double(validated) - perImage) < 1e-5 * perImage)
    let wrong =
      loss is Logistic
      ? Double(validation.wrongSignCount) / Double(labels * validated)
      : Double(validated - validation.correctCount) / Double(validated)
    #expect(abs(wrong - (try golden.number("final_val", "error"))) < 1e-9)
  }

  private func load(_ globalBatch: [Int]) -> Tensor {
    let first = globalBatch.count * rank / ranks
    let batch = globalBatch[first..<globalBatch.count * (rank + 1) / ranks]
    let shape = network.inputShape.with(batch: batch.count)
    let x = Tensor(shape.with(batch: max(batchCapacity, batch.count)), .interleaved)
    x.setBatch(batch.count)
    x.fill(from: batch.flatMap { images.floats[$0 * shape.features..<($0 + 1) * shape.features] })
    context.globalBatchSize = globalBatch.count
    context.shareOffset = first
    context.signs = batch.flatMap { signs[$0 * labels..<($0 + 1) * labels] }
    context.categoryCount = labels
    context.categories = batch.map { n in
      Int32((0..<labels).first { signs[n * labels + $0] > 0 } ?? 0)
    }
    return x
  }

  private func train(_ batch: [Int], _ index: String) throws {
    context.mode = .training
    network.store.zeroGradients()
    observed = (index, batch.count)
    network.observer = self
    let x = try network.forward(load(batch), context)
    try compare(x.toArray(), 1, index, "logits")
    let evaluation = loss.evaluate(x, context)
    if ranks == 1 {
      let sum = try golden.number("iterations", index, "loss_sum")
      #expect(abs(evaluation.sum - sum) < 1e-5 * sum, "loss of iteration \(index)")
    }
    try network.backward(try #require(evaluation.gradient), context) { _ in }
    network.observer = nil
    guard ranks > 1 else { return }
    var sums = network.store.gradients.map { Double($0) }
    try sums.withUnsafeMutableBufferPointer { try context.exchange.reduce($0, .sum) }
    for index in sums.indices { network.store.gradients[index] = Float(sums[index]) }
  }

  func didForward(_ layer: any Layer, output: Tensor) throws {
    guard let observed, let at = network.layers.firstIndex(where: { $0 === layer }) else { return }
    guard let mask = network.layers.dropFirst(at + 1).first as? InterpretableMask else { return }
    try compare(output.toArray(), 1, observed.index, "\(mask.name)_input")
  }

  func didBackward(_ layer: any Layer, inputGradient: Tensor?) throws {
    guard let observed, let mask = layer as? InterpretableMask, let dx = inputGradient else { return }
    try compare(dx.toArray(), Double(observed.batchSize), observed.index, "\(mask.name)_dx")
  }

  private func compare(_ values: [Float], _ factor: Double, _ index: String, _ key: String) throws {
    guard ranks == 1, let expected = golden.optionalTensor("iterations", index, key) else { return }
    let difference = relativeDifference(values.map { Double($0) * factor }, expected.values)
    #expect(difference < tolerance, "\(key) of iteration \(index)")
  }

  private func checkWeights(_ index: String) throws {
    for (key, name) in Self.names {
      let parameter = try #require(network.store.parameter(named: name))
      let expected = try golden.tensor("iterations", index, "after", key)
      #expect(
        relativeDifference(parameter.exportValues(), expected.values.map { Float($0) }) < tolerance,
        "\(key) after iteration \(index)")
    }
    for mask in ["mask6", "mask7"] {
      let state = try #require(network.states.first { $0.name == "\(mask).peak_magnitudes" })
      let expected = try golden.tensor("iterations", index, "after", "\(mask)_slice_mag").values
      #expect(
        relativeDifference(Array(state.values), expected) < tolerance, "\(mask) after iteration \(index)")
    }
  }
}
