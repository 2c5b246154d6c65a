import Datasets
import Foundation
import Networks
import Tensors
import TestSupport
import Testing
import Training

@testable import Weights

/// A small network in a checkpoint.
struct ExportCase: CustomTestStringConvertible {
  let network: String
  let imageSize: Int
  let interpretable: Bool
  let meanKind: Preprocessing.MeanKind
  /// Channels of layers in the place of a few odd ones.
  var widths: [String: Int]?
  var testDescription: String {
    "\(network), \(interpretable ? "interpretable" : "ordinary"), mean \(meanKind)"
  }

  static let all = [
    ExportCase(network: "alexnet", imageSize: 64, interpretable: false, meanKind: .pixel),
    ExportCase(network: "alexnet", imageSize: 80, interpretable: true, meanKind: .channel),
    ExportCase(network: "compact", imageSize: 32, interpretable: false, meanKind: .none),
    ExportCase(network: "compact", imageSize: 32, interpretable: true, meanKind: .pixel),
    ExportCase(network: "densenet121", imageSize: 61, interpretable: false, meanKind: .channel),
  ]

  /// A few channels in each layer of DenseNet-121, few of them multiples of 16.
  private static let denseWidths: [String: Int] = {
    var widths = ["features.conv0": 10]
    for (block, count) in zip(1..., [6, 12, 24, 16]) {
      for layer in 1...count {
        widths["features.denseblock\(block).denselayer\(layer).conv1"] = 8 + layer
        widths["features.denseblock\(block).denselayer\(layer).conv2"] = 3 + layer % 3
      }
      if block < 4 { widths["features.transition\(block).conv"] = 16 }
    }
    return widths
  }()

  static let classNames = ["cat", "dog", "Zürich \"x\""]

  var configuration: TrainingConfiguration {
    var configuration = TrainingConfiguration()
    configuration.network = network
    configuration.imageSize = imageSize
    configuration.interpretable = interpretable
    if let widths {
      configuration.widths = widths
      return configuration
    }
    switch network {
    case "alexnet":
      configuration.widths = [
        "features.0": 6, "features.3": 17, "features.10": 9, "classifier.1": 12, "classifier.4": 7,
      ]
    case "densenet121": configuration.widths = Self.denseWidths
    default: configuration.widths = ["features.0": 5, "features.18": 20]
    }
    return configuration
  }

  var preprocessing: Preprocessing {
    let count = meanKind == .pixel ? imageSize * imageSize * 3 : 3
    let mean = meanKind == .none ? [0, 0, 0] : (0..<count).map { Float(100 + $0 % 50) }
    return Preprocessing(imageSize: imageSize, meanKind: meanKind, mean: mean, scale: [0.02, 0.015, 0.01])
  }

  /// Random weights and statistics, in RUN/checkpoints.
  func write(run: String) throws -> Network {
    let (resolved, architecture) = try configuration.resolved()
    let network = architecture.build(resolved.networkOptions(outputs: Self.classNames.count))
    network.randomize()
    let state = CheckpointState(
      programVersion: "test", configuration: resolved, step: 4, epoch: 1, stepInEpoch: 4,
      classNames: Self.classNames, outputs: Self.classNames.count,
      parameterCount: network.store.parameterCount, preprocessing: preprocessing, dataFingerprint: "0",
      validationAccuracy: nil)
    let velocities = AlignedBuffer<Float>(count: network.store.count)
    try Checkpoint.write(
      state, of: network, velocities: UnsafeBufferPointer(start: velocities.pointer, count: velocities.count),
      run: run, keep: 1)
    return network
  }
}

@Suite("Weights for other programs") struct WeightsExportTests {
  /// Pixels in 0...255, [H, W, 3].
  private func pixels(_ size: Int) -> [Float] {
    var random = RandomSource(seed: 8, purpose: .test)
    return (0..<size * size * 3).map { _ in random.uniform(0, 255) }
  }

  private func logits(_ network: Network, _ pixels: [Float], _ preprocessing: Preprocessing) throws
    -> [Double]
  {
    let size = preprocessing.imageSize
    let input = Tensor(Shape(batch: 1, channels: 3, height: size, width: size), .interleaved)
    for index in pixels.indices {
      let mean = preprocessing.mean[preprocessing.meanKind == .pixel ? index : index % 3]
      input.pointer[index] = (pixels[index] - mean) * preprocessing.scale[index % 3]
    }
    let context = StepContext()
    context.mode = .evaluation
    context.categoryCount = ExportCase.classNames.count
    context.globalBatchSize = 1
    context.sampleKeys = [0]
    let output = try network.forward(input, context)
    return (0..<network.outputs).map { Double(output.pointer[$0]) }
  }

  @Test(
    "PyTorch loads them strictly and computes the same logits",
    .enabled(if: PyTorchProcess.python != nil, "needs PyTorch: make peer-environment"),
    arguments: ExportCase.all)
  func pyTorch(_ example: ExportCase) throws {
    try Samples.withFolder { folder in
      let network = try example.write(run: folder)
      let file = try WeightsFile.open(folder)
      try WeightsExport(file, ArchitectureMatch.only(for: file)).write(to: folder + "/out.safetensors")
      let pixels = pixels(example.imageSize)
      try pixels.withUnsafeBytes { Data($0) }.write(to: URL(fileURLWithPath: folder + "/pixels"))
      let theirs = try PyTorchProcess(weights: folder + "/out.safetensors", pixels: folder + "/pixels")
      let mine = try logits(network, pixels, example.preprocessing)
      #expect(theirs.classes == ExportCase.classNames)
      let scale = mine.map(abs).max() ?? 0
      #expect(scale > 1e-3)
      for (a, b) in zip(mine, theirs.logits) {
        #expect(abs(a - b) <= 1e-4 * max(scale, 1), "\(mine) \(theirs)")
      }
    }
  }

  @Test("what is exported is a network again, with the same logits", arguments: ExportCase.all)
  func roundTrip(_ example: ExportCase) throws {
    try Samples.withFolder { folder in
      let network = try example.write(run: folder)
      let checkpoint = try WeightsFile.open(folder)
      try WeightsExport(checkpoint, ArchitectureMatch.only(for: checkpoint)).write(
        to: folder + "/out.safetensors")
      let file = try WeightsFile(path: folder + "/out.safetensors")
      #expect(file.statedArchitecture == example.network)
      #expect(file.statedPreprocessing == example.preprocessing)
      let match = try #require(ArchitectureMatch.only(for: file))
      #expect(match.widths == example.configuration.widths)
      let (resolved, architecture) = try example.configuration.resolved()
      let copy = architecture.build(resolved.networkOptions(outputs: ExportCase.classNames.count))
      copy.store.initialize(seed: 1)
      #expect(try InitialWeights.load(file, into: copy).fresh == [])
      let pixels = pixels(example.imageSize)
      let (mine, theirs) = (
        try logits(network, pixels, example.preprocessing), try logits(copy, pixels, example.preprocessing)
      )
      // Statistics are Double in a checkpoint and Float here.
      for (a, b) in zip(mine, theirs) { #expect(abs(a - b) <= 1e-5 * max(abs(a), 1)) }
      #expect(file.tensors.allSatisfy { $0.type == .float32 || $0.name.hasSuffix("num_batches_tracked") })
      #expect(!file.tensors.contains { $0.name.contains("category") })
    }
  }

  @Test("metadata: classes, and the category of every filter")
  func metadata() throws {
    try Samples.withFolder { folder in
      let network = try ExportCase.all[3].write(run: folder)
      let file = try WeightsFile.open(folder)
      #expect(file.metadata["classes"] == #"["cat","dog","Zürich \"x\""]"#)
      let text = try #require(file.metadata["interpretable"])
      let json = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
      #expect(json["formulation"] as? String == "paper")
      #expect(json["beta"] as? Double == 4)
      #expect(json["mask_scale"] as? String == "unit")
      let categories = try #require(json["filter_categories"] as? [String: [String]])
      #expect(categories.keys.sorted() == ["interpretable.mask0", "interpretable.mask1"])
      for (name, found) in categories {
        let means = try #require(network.states.first { $0.name == name + ".category_means" })
        #expect(found.count == 20)
        for filter in 0..<20 {
          let own = Array(means.values[filter * 3..<filter * 3 + 3])
          let best = own.firstIndex(of: own.max() ?? 0) ?? 0
          #expect(found[filter] == ExportCase.classNames[best])
        }
      }
      // An ordinary network has no filters of categories.
      _ = try ExportCase.all[0].write(run: folder + "/ordinary")
      #expect(try WeightsFile.open(folder + "/ordinary").metadata["interpretable"] == nil)
    }
  }

  @Test("a file that is converted keeps its bits; a failure leaves nothing behind")
  func conversion() throws {
    try Samples.withFolder { folder in
      let source = try WeightsFile(path: Samples.bundled("alexnet_w16_f16.safetensors"))
      try WeightsExport(source, ArchitectureMatch.only(for: source)).write(to: folder + "/a.safetensors")
      let copy = try WeightsFile(path: folder + "/a.safetensors")
      #expect(copy.tensors.map(\.name) == source.tensors.map(\.name))
      for tensor in source.tensors {
        #expect(copy[tensor.name]?.type == .float16)
        #expect(try copy[tensor.name]?.contiguousBytes() == tensor.contiguousBytes())
      }
      #expect(copy.statedArchitecture == "alexnet")
      #expect(copy.statedPreprocessing == .torchvision(imageSize: 224))
      let error = #expect(throws: WeightsError.self) {
        try WeightsExport(source, nil).write(to: folder + "/absent/b.safetensors")
      }
      #expect(error?.exitCode == 74)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["a.safetensors"])
    }
  }
}
