import Tensors
import TestSupport
import Testing

@testable import Networks

/// Updates whose gradient nobody writes, against updates by written gradients.
@Suite struct GradientFactorsTests {
  /// [images, inputs, outputs].
  static let extents = [[5, 37, 70], [16, 2100, 33], [1, 48, 9], [40, 100, 20]]
  private static let rate: Float = 0.1

  /// Two linear layers over arenas from `source`, with values that depend on nothing else.
  private final class Pair {
    let layers: [Linear]
    let store: ParameterStore
    let context = StepContext()

    init(_ extents: [Int], _ source: ParameterArenas.Source) {
      layers = ["a", "b"].map { Linear($0, inputs: extents[1], outputs: extents[2]) }
      store = ParameterStore(layers.flatMap(\.parameters), arenas: source)
      for (index, parameter) in store.parameters.enumerated() {
        parameter.importValues(randomValues(parameter.count, seed: UInt64(index)))
      }
      layers[1].weights.learningRateMultiplier = 2
      layers[1].weights.weightDecayMultiplier = 0.5
    }

    /// Forward and backward of some images of a global batch of `extents[0]`.
    func pass(_ extents: [Int], images: Range<Int>, step: Int) {
      context.shareOffset = images.lowerBound
      context.globalBatchSize = extents[0]
      context.addsToGradients = false
      for (index, layer) in layers.enumerated() {
        let x = Self.rows(extents[1], images, seed: step * 10 + index)
        let dy = Self.rows(extents[2], images, seed: step * 10 + index + 5)
        _ = layer.forward(x, context)
        _ = layer.backward(dy, context)
      }
    }

    private static func rows(_ features: Int, _ images: Range<Int>, seed: Int) -> Tensor {
      let tensor = Tensor(Shape(batch: images.count, features: features), .flat)
      for (row, image) in images.enumerated() {
        let values = randomValues(features, seed: UInt64(seed * 1000 + image))
        for (column, value) in values.enumerated() { tensor.values[row * features + column] = value }
      }
      return tensor
    }
  }

  @Test("an update by factors is the update by the gradients they make", arguments: extents)
  func oneRank(_ extents: [Int]) {
    for run in onAllKernels({
      let written = Pair(extents, ParameterArenas.Source())
      let kept = Pair(extents, ParameterArenas.Source(factorImages: extents[0]))
      let optimizers = [written, kept].map { MomentumSGD($0.store, momentum: 0.9, weightDecay: 0.01) }
      kept.layers[0].weights.gradients.update(repeating: .nan, count: extents[1] * extents[2])
      for step in 1...3 {
        for pair in [written, kept] { pair.pass(extents, images: 0..<extents[0], step: step) }
        #expect(optimizers[0].update(learningRate: Self.rate) == nil)
        #expect(optimizers[1].update(learningRate: Self.rate, factorImages: extents[0]) == nil)
      }
      let results = zip([written, kept], optimizers).map { Array($0.store.values) + Array($1.velocities) }
      #expect(relativeDifference(results[1], results[0].map(Double.init)) < 1e-6)
      return results[1]
    }) {
      #expect(run.sameForAllThreads, "\(run.set)")
    }
  }

  @Test(
    "ranks that keep their images in one place end with the bits of one", arguments: extents, [2, 3, 4])
  func ranks(_ extents: [Int], count: Int) {
    let alone = Pair(extents, ParameterArenas.Source(factorImages: extents[0]))
    let one = MomentumSGD(alone.store, momentum: 0.9, weightDecay: 0.01)
    var shared: [AlignedMemory] = []
    var factors: AlignedMemory?
    let group = (0..<count).map { _ in
      Pair(
        extents,
        ParameterArenas.Source(factorImages: extents[0]) { count, factorCount in
          if shared.isEmpty { shared = [AlignedMemory(count), AlignedMemory(count)] }
          factors = factors ?? AlignedMemory(factorCount)
          let gradients = AlignedMemory(count)
          shared.append(gradients)
          return ParameterArenas(
            values: shared[0].pointer, gradients: gradients.pointer, velocities: shared[1].pointer,
            factors: factors!.pointer)
        })
    }
    let vectors = alone.store.count / 16
    let optimizers = group.enumerated().map { rank, pair in
      MomentumSGD(
        pair.store, momentum: 0.9, weightDecay: 0.01,
        share: UpdateShare(
          range: rank * vectors / count * 16..<(rank + 1) * vectors / count * 16,
          gradients: group.map { UnsafePointer($0.store.gradients.baseAddress) }))
    }
    for step in 1...2 {
      alone.pass(extents, images: 0..<extents[0], step: step)
      #expect(one.update(learningRate: Self.rate, factorImages: extents[0]) == nil)
      for (rank, pair) in group.enumerated() {
        pair.pass(
          extents, images: rank * extents[0] / count..<(rank + 1) * extents[0] / count, step: step)
      }
      for optimizer in optimizers {
        #expect(optimizer.update(learningRate: Self.rate, factorImages: extents[0]) == nil)
      }
    }
    // Biases are sums of written gradients, in another order.
    for (expected, layer) in zip(alone.layers, group[0].layers) {
      #expect(expected.weights.exportValues() == layer.weights.exportValues())
      #expect(
        relativeDifference(layer.bias!.exportValues(), expected.bias!.exportValues().map(Double.init)) < 1e-6)
    }
  }

  @Test func aGradientThatIsNotFiniteIsFoundAndLeavesValuesFinite() {
    let extents = [3, 60, 40]
    let pair = Pair(extents, ParameterArenas.Source(factorImages: 3))
    let optimizer = MomentumSGD(pair.store)
    pair.pass(extents, images: 0..<3, step: 1)
    let dy = Tensor(Shape(batch: 3, features: 40), .flat)
    dy.values[7] = .nan
    _ = pair.layers[1].backward(dy, pair.context)
    #expect(optimizer.update(learningRate: 0.1, factorImages: 3)?.name == "b.bias")
    pair.layers[1].bias!.gradients.update(repeating: 0, count: 40)
    #expect(optimizer.update(learningRate: 0.1, factorImages: 3)?.name == "b.weight")
    #expect(pair.store.values.allSatisfy(\.isFinite) && optimizer.velocities.allSatisfy(\.isFinite))
  }

  @Test func gradientsAreWrittenForOthersToLookAt() {
    let extents = [3, 60, 40]
    let pair = Pair(extents, ParameterArenas.Source(factorImages: 3))
    pair.context.keepsFactors = false
    pair.pass(extents, images: 0..<3, step: 1)
    let written = Pair(extents, ParameterArenas.Source())
    written.pass(extents, images: 0..<3, step: 1)
    #expect(pair.layers[0].weights.exportGradients() == written.layers[0].weights.exportGradients())
  }
}

/// Zeroed floats that live as long as it.
private final class AlignedMemory {
  private let buffer: AlignedBuffer<Float>
  let count: Int

  init(_ count: Int) {
    self.count = count
    buffer = AlignedBuffer(count: count)
  }

  var pointer: UnsafeMutablePointer<Float> { buffer.pointer }
}
