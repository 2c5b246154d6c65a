import Datasets
import Networks
import Tensors
import Testing

@testable import Training

@Suite("Feature maps for TensorBoard") struct FeatureMapSamplerTests {
  private func network(interpretable: Bool) -> Network {
    var options = NetworkOptions(outputs: 3, imageSize: 32)
    options.widthDivisor = 2
    if interpretable { options.interpretable = InterpretableOptions() }
    let network = Architecture.compact.build(options)
    network.store.initialize(seed: 1)
    return network
  }

  private let preprocessing = Preprocessing(
    imageSize: 32, meanKind: .channel, mean: [100, 110, 120], scale: [1, 1, 1])

  @Test("the highest interpretable layer is watched, else the highest convolution")
  func layer() throws {
    let interpretable = network(interpretable: true)
    #expect(
      FeatureMapSampler(interpretable, preprocessing)?.layer == interpretable.interpretableLayers.last?.name)
    let ordinary = network(interpretable: false)
    let highest = try #require(ordinary.layers.last { $0 is Convolution })
    #expect(FeatureMapSampler(ordinary, preprocessing)?.layer == highest.name)
  }

  @Test("the images are drawn as they were before the mean was subtracted; only the first batch is seen")
  func images() throws {
    let network = network(interpretable: true)
    let sampler = try #require(FeatureMapSampler(network, preprocessing))
    #expect(sampler.montage() == nil)
    let context = StepContext(exchange: LocalStatistics())
    context.categoryCount = 3
    let batch = Batch.noise(globalBatchSize: 2, rank: 0, rankCount: 1, imageSize: 32, outputs: 3, seed: 1)
    network.observer = sampler
    for value: Float in [0, 50] {
      for index in 0..<batch.images.count { batch.images.pointer[index] = value }
      context.begin(batch, .evaluation)
      _ = try network.forward(batch.images, context)
    }
    let montage = try #require(sampler.montage())
    #expect(montage.width == 9 * 97 + 1 && montage.height == 2 * 97 + 1)
    let decoded = try ImageDecoder().decode(montage.png())
    let middle = (48 * montage.width + 48) * 3
    #expect(Array(decoded.pixels[middle..<middle + 3]) == [100, 110, 120])
  }
}
