import Communication
import Datasets
import Foundation
import Networks
import Tensors
import Testing

@testable import Training

@Suite("TrainingStep") struct TrainingStepTests {
  /// Without batch norm and filter loss the images of a batch do not see each other.
  private static func step(_ communicator: any Communicator = SingleProcess()) -> TrainingStep {
    let geometry = ConvolutionGeometry(inputChannels: 3, outputChannels: 5, kernel: 3, stride: 2, padding: 1)
    let convolution = Convolution("conv", geometry, input: .interleaved)
    convolution.parameters[0].initializer = .heNormal
    let network = Network(
      name: "small", inputShape: Shape(batch: 1, channels: 3, height: 8, width: 8),
      layers: [convolution, ReLU("relu"), Flatten("flatten"), Linear("fc", inputs: 5 * 16, outputs: 3)])
    network.store.initialize(seed: 1)
    return TrainingStep(
      network, SoftmaxCrossEntropy(), MomentumSGD(network.store), StepContext(), communicator,
      communicator.gradientExchange(.automatic, .float32), bucketBytes: 256)
  }

  private static func noise(_ count: Int, seed: UInt64) -> Batch {
    Batch.noise(globalBatchSize: count, rank: 0, rankCount: 1, imageSize: 8, outputs: 3, seed: seed)
  }

  @Test("parts of a batch give the gradient of the whole", arguments: [3, 6])
  func accumulation(cut: Int) throws {
    let parts = [Self.noise(cut, seed: 1), Self.noise(9 - cut, seed: 2)]
    let whole = Self.noise(9, seed: 3)
    // Both cuts are multiples of the number of labels, so the labels follow each other as in the whole.
    var target = whole.images.pointer
    for part in parts {
      target.update(from: part.images.pointer, count: part.images.count)
      target += part.images.count
    }
    let (one, two) = (Self.step(), Self.step())
    for _ in 0..<3 {
      let a = try one.run(
        partCount: 1, imageCount: 9, learningRate: 0.1, part: { _ in whole }, recycle: { _ in })
      let b = try two.run(
        partCount: 2, imageCount: 9, learningRate: 0.1, part: { parts[$0] }, recycle: { _ in })
      #expect(a.imageCount == 9 && b.imageCount == 9)
      #expect(abs(a.loss - b.loss) < 1e-5 * a.loss)
      #expect(a.accuracy == b.accuracy)
    }
    let difference = SmallRun.difference(
      two.network.store.parameters.flatMap { $0.exportValues() },
      one.network.store.parameters.flatMap { $0.exportValues() })
    #expect(difference < 1e-5)
  }

  @Test("a step does not see what the gradients held before", arguments: [1, 2])
  func staleGradients(partCount: Int) throws {
    let parts = [Self.noise(3, seed: 1), Self.noise(6, seed: 2)]
    let (fresh, stale) = (Self.step(), Self.step())
    stale.network.store.gradients.update(repeating: 1e6)
    for step in [fresh, stale] {
      _ = try step.run(
        partCount: partCount, imageCount: partCount == 1 ? 3 : 9, learningRate: 0.1, part: { parts[$0] },
        recycle: { _ in })
    }
    #expect(Array(fresh.network.store.values) == Array(stale.network.store.values))
  }

  @Test("a steady step allocates nothing that stays")
  func memory() throws {
    let batch = Self.noise(4, seed: 1)
    let step = Self.step()
    func steps(_ count: Int) throws {
      for _ in 0..<count {
        _ = try step.run(
          partCount: 1, imageCount: 4, learningRate: 0.01, part: { _ in batch }, recycle: { _ in })
      }
    }
    try steps(3)
    let before = ProcessMemory.residentBytes
    try steps(200)
    // Other suites run beside this one, so a little must be allowed; a leak of one activation a step is 2 MB.
    #expect(ProcessMemory.residentBytes - before < 64 << 20)
  }

  @Test("NaN in an image is found by the rank that has it, and the weights stay finite")
  func nanInAnImage() throws {
    let errors = try InProcessGroup.run(size: 2) { communicator -> String in
      let step = Self.step(communicator)
      let batch = Batch.noise(
        globalBatchSize: 6, rank: communicator.rank, rankCount: 2, imageSize: 8, outputs: 3, seed: 1)
      if communicator.rank == 1 { batch.images.pointer[5] = .nan }
      do {
        _ = try step.run(
          partCount: 1, imageCount: 6, learningRate: 0.1, part: { _ in batch }, recycle: { _ in })
        return "no error"
      } catch let error as ExitError {
        let finite = step.network.store.values.reduce(true) { $0 && $1.isFinite }
        return "\(error.code) \(error.isShared) \(finite) \(error.description)"
      }
    }
    #expect(errors[0] == errors[1])
    #expect(errors[0].hasPrefix("70 true true"))
    #expect(errors[0].contains("step 1") && errors[0].contains("rank 1: input images (1 of 576 values)"))
    #expect(!errors[0].contains("rank 0"))
  }

  @Test("a broken weight is found in its layer")
  func nanInAWeight() throws {
    let step = Self.step()
    step.network.store.parameters[2].values[0] = .infinity
    let batch = Self.noise(4, seed: 1)
    let error = #expect(throws: ExitError.self) {
      try step.run(partCount: 1, imageCount: 4, learningRate: 0.1, part: { _ in batch }, recycle: { _ in })
    }
    #expect(error?.description.contains("output of layer fc") == true)
  }
}
