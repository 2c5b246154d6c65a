import Datasets
import Foundation
import Networks
import Tensors
import Testing

@testable import Weights

/// A file of weights and what it must compute.
struct SampleNetwork: CustomTestStringConvertible {
  let file: String
  /// Key in `expected.json`.
  let expected: String
  let architecture: String
  let image: String
  /// The layer whose output `expected.json` tells of; nil: a composite of ours may end elsewhere.
  let lastConvolution: String?

  var testDescription: String { file }

  static let matConvNet = [
    SampleNetwork(
      file: "imagenet-caffe-alex_w16.mat", expected: "matconvnet_caffe_alex", architecture: "caffe-alexnet",
      image: "input_227.png", lastConvolution: "relu5"),
    SampleNetwork(
      file: "imagenet-vgg-verydeep-16_w16.mat", expected: "matconvnet_vgg16", architecture: "vgg16",
      image: "input_224.png", lastConvolution: "features.29"),
    SampleNetwork(
      file: "imagenet-vgg-verydeep-16_w16_uncompressed.mat", expected: "matconvnet_vgg16",
      architecture: "vgg16",
      image: "input_224.png", lastConvolution: "features.29"),
  ]

  static let residual = [
    "resnet18_w16.pth", "resnet18_w16.safetensors", "resnet18_w16_legacy_parameters.pth",
  ].map {
    SampleNetwork(
      file: $0, expected: "resnet18", architecture: "resnet18", image: "input_224.png", lastConvolution: nil)
  }

  static let torchvision: [SampleNetwork] = [
    ("vgg16_w16.pth", "vgg16"), ("vgg16_w16.safetensors", "vgg16"), ("vgg16_w16_legacy.pth", "vgg16"),
    ("alexnet_w16.pth", "alexnet"), ("alexnet_w16.safetensors", "alexnet"),
    ("alexnet_w16_checkpoint.pth", "alexnet"), ("alexnet_w16_f16.safetensors", "alexnet"),
  ].map {
    SampleNetwork(
      file: $0, expected: $1, architecture: $1, image: "input_224.png",
      lastConvolution: $1 == "vgg16" ? "features.29" : "features.11")
  }
}

@Suite(
  "Networks of other programs", .enabled(if: Samples.folder != nil, "needs weights-sample in ICNN_DATA_DIR"))
struct SampleNetworkTests {
  /// Keeps the output of one layer.
  private final class Keeper: LayerObserver {
    let name: String
    var values: [Float] = []

    init(_ name: String) { self.name = name }

    func didForward(_ layer: any Layer, output: Tensor) {
      if layer.name == name { values = output.toArray() }
    }

    func didBackward(_ layer: any Layer, inputGradient: Tensor?) {}
  }

  @Test(
    "logits, probabilities and top maps are those of PyTorch and MatConvNet",
    arguments: SampleNetwork.torchvision + SampleNetwork.matConvNet)
  func logits(_ sample: SampleNetwork) throws { try check(sample) }

  @Test(
    "residual networks",
    .enabled(if: Architecture.named("resnet18") != nil, "needs the architecture resnet18"),
    arguments: SampleNetwork.residual)
  func residual(_ sample: SampleNetwork) throws { try check(sample) }

  private func check(_ sample: SampleNetwork) throws {
    let folder = try #require(Samples.folder)
    let file = try WeightsFile(path: folder + "/" + sample.file)
    let match = try #require(ArchitectureMatch.only(for: file))
    #expect(match.architecture.name == sample.architecture)
    #expect(match.outputs == 10)
    let expected = try Samples.expected(sample.expected)
    let preprocessing = try #require(file.preprocessing(for: match))
    let reader = ImageReader(preprocessing, Augmentation(cropMargin: 0))
    let size = preprocessing.imageSize
    let input = Tensor(Shape(batch: 1, channels: 3, height: size, width: size), .interleaved)
    try reader.read(folder + "/" + sample.image, into: input)

    // The sums themselves are within 1e-4; Winograd's transforms round more, in proportion to the largest logit.
    for algorithm in [ConvolutionAlgorithm.direct, .automatic] {
      var options = NetworkOptions(outputs: try #require(match.outputs))
      options.widths = match.widths
      options.convolutionAlgorithm = algorithm
      let network = match.architecture.build(options)
      network.store.initialize(seed: 1)
      let report = try InitialWeights.load(file, into: network)
      #expect(report.fresh == [] && report.unused == [])
      let keeper = Keeper(sample.lastConvolution ?? "")
      network.observer = keeper
      let context = StepContext()
      context.mode = .evaluation
      context.globalBatchSize = 1
      context.sampleKeys = [0]
      let output = try network.forward(input, context)
      let logits = (0..<10).map { Double(output.pointer[$0]) }

      let isHalf = sample.file.contains("f16")
      let wanted = isHalf ? try #require(expected.halfLogits) : expected.logits
      let scale = max(wanted.map(abs).max() ?? 0, 1)
      let tolerance = algorithm == .direct ? 1e-4 * max(scale / 25, 1) : 1e-4 * scale
      for (mine, theirs) in zip(logits, wanted) {
        #expect(abs(mine - theirs) <= tolerance, "\(mine) is not \(theirs)")
      }
      guard !isHalf else { continue }
      checkProbabilities(logits, expected)
      if sample.lastConvolution != nil { checkMaps(keeper.values, expected.lastConvolution) }
    }
  }

  private func checkProbabilities(_ logits: [Double], _ expected: Samples.Expected) {
    let highest = logits.max() ?? 0
    let exponentials = logits.map { exp($0 - highest) }
    let sum = exponentials.reduce(0, +)
    for (mine, theirs) in zip(exponentials, expected.softmax) { #expect(abs(mine / sum - theirs) <= 1e-4) }
  }

  private func checkMaps(_ values: [Float], _ expected: Samples.Expected.LastConvolution) {
    let shape = expected.stats.shape
    let cells = shape[2] * shape[3]
    #expect(values.count == shape.reduce(1, *))
    let sum = values.reduce(0.0) { $0 + Double($1) }
    #expect(abs(sum - expected.stats.sum) <= 1e-4 * expected.stats.sum)
    let tolerance = 1e-4 * expected.stats.max
    #expect(abs(Double(values.max() ?? 0) - expected.stats.max) <= tolerance)
    for (channel, peak) in expected.peaks.enumerated() {
      let map = values[channel * cells..<(channel + 1) * cells]
      let largest = map.max() ?? 0
      #expect(abs(Double(largest) - peak[0]) <= tolerance)
      // Peaks within rounding of each other may change places.
      let atTheirs = map[map.startIndex + Int(peak[1]) * shape[3] + Int(peak[2])]
      #expect(abs(Double(largest - atTheirs)) <= 2 * tolerance, "channel \(channel)")
    }
  }
}
