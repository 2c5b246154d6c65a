import Datasets
import Foundation
import Networks
import SwiftProtobuf
import Tensors
import TestSupport
import Testing

@testable import Weights

/// A narrow network with random weights and statistics.
struct ONNXCase: CustomTestStringConvertible {
  let architecture: Architecture
  let interpretable: InterpretableOptions?
  let meanKind: Preprocessing.MeanKind
  let testDescription: String

  static let classes = 5

  init(
    _ architecture: Architecture, _ interpretable: InterpretableOptions?, _ meanKind: Preprocessing.MeanKind
  ) {
    self.architecture = architecture
    self.interpretable = interpretable
    self.meanKind = meanKind
    let masks = interpretable.map { "\($0.formulation.rawValue) \($0.maskScale.rawValue)" }
    testDescription = "\(architecture.name), \(masks ?? "ordinary"), mean \(meanKind)"
  }

  /// Every architecture without and with masks, then the other masks.
  static let all =
    Architecture.all.flatMap {
      [ONNXCase($0, nil, .channel), ONNXCase($0, InterpretableOptions(), .pixel)]
    } + [
      ONNXCase(.alexNet, options(.paper, .tau), .none),
      ONNXCase(.compact, options(.released(corrected: false)), .channel),
      ONNXCase(.compact, options(.paper, .none), .channel),
      ONNXCase(.caffeAlexNet, options(.released(corrected: true)), .pixel),
    ]

  static func options(
    _ formulation: InterpretableOptions.Formulation, _ scale: InterpretableOptions.MaskScale = .unit
  ) -> InterpretableOptions {
    var options = InterpretableOptions()
    options.formulation = formulation
    options.maskScale = scale
    return options
  }

  /// A size at which the top maps have several cells and poolings in ceil mode have incomplete windows.
  var imageSize: Int { architecture.smallestImageSize + 34 }

  var preprocessing: Preprocessing {
    let count = meanKind == .pixel ? imageSize * imageSize * 3 : 3
    let mean = meanKind == .none ? [0, 0, 0] : (0..<count).map { Float(100 + $0 % 50) }
    return Preprocessing(imageSize: imageSize, meanKind: meanKind, mean: mean, scale: [0.02, 0.015, 0.01])
  }

  func network() -> Network {
    var options = NetworkOptions(outputs: Self.classes, imageSize: imageSize, interpretable: interpretable)
    options.widthDivisor = 16
    let network = architecture.build(options)
    network.randomize()
    return network
  }
}

extension Network {
  /// Logits [N][L] of images [N, H, W, 3] in 0...255.
  func evaluate(_ pixels: [Float], _ preprocessing: Preprocessing, categories: Int) throws -> [[Double]] {
    let size = preprocessing.imageSize
    let values = size * size * 3
    let count = pixels.count / values
    let input = Tensor(Shape(batch: count, channels: 3, height: size, width: size), .interleaved)
    for index in pixels.indices {
      let mean = preprocessing.mean[preprocessing.meanKind == .pixel ? index % values : index % 3]
      input.pointer[index] = (pixels[index] - mean) * preprocessing.scale[index % 3]
    }
    let context = StepContext()
    context.mode = .evaluation
    context.categoryCount = categories
    context.globalBatchSize = count
    context.sampleKeys = (0..<count).map(UInt64.init)
    let logits = try forward(input, context)
    return (0..<count).map { n in (0..<outputs).map { Double(logits.pointer[n * outputs + $0]) } }
  }
}

@Suite("ONNX models") struct ONNXModelTests {
  private static let runtime: ConditionTrait = .enabled(
    if: ONNXProcess.python != nil, "needs ONNX Runtime: make onnx-environment")

  private func random(_ count: Int) -> [Float] {
    var random = RandomSource(seed: 8, purpose: .test)
    return (0..<count).map { _ in random.uniform(0, 255) }
  }

  @Test("ONNX Runtime computes our logits from pixels", runtime, arguments: ONNXCase.all)
  func logits(_ example: ONNXCase) throws {
    try Samples.withFolder { folder in
      let network = example.network()
      let model = try ONNXModel(network, example.preprocessing, metadata: [:], source: "test")
      try model.write(to: folder + "/model.onnx")
      let pixels = random(3 * example.imageSize * example.imageSize * 3)
      let theirs = try ONNXProcess(model: folder + "/model.onnx", pixels: pixels).logits
      let mine = try network.evaluate(pixels, example.preprocessing, categories: ONNXCase.classes)
      try expect(theirs, closeTo: mine, relative: 1e-4)
    }
  }

  /// Difference by difference below a share of the largest value.
  private func expect(_ theirs: [[Double]], closeTo mine: [[Double]], relative: Double) throws {
    let (a, b) = (Array(mine.joined()), Array(theirs.joined()))
    try #require(a.count == b.count)
    let scale = a.reduce(0) { max($0, abs($1)) }
    #expect(scale > 1e-3)
    let worst = zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) }
    #expect(worst <= relative * scale, "largest difference \(worst), largest value \(scale)")
  }

  /// Masks of maps with one, several and only equal peaks, alone behind a convolution of single pixels.
  @Test(
    "masks are ours, on silent maps and ties too", runtime,
    arguments: [1, 2, 5, 8],
    [
      InterpretableOptions(), ONNXCase.options(.paper, .tau), ONNXCase.options(.released(corrected: false)),
      ONNXCase.options(.released(corrected: true)),
    ])
  func masks(_ size: Int, _ options: InterpretableOptions) throws {
    let channels = 18
    let shape = Shape(batch: 1, channels: channels, height: size, width: size)
    let types = (0..<channels).map { UInt8([1, 1, 2, 1, 0][$0 % 5]) }
    let network = Network(
      name: "masks", inputShape: Shape(batch: 1, channels: 3, height: size, width: size),
      layers: [
        Convolution(
          "conv",
          ConvolutionGeometry(
            inputChannels: 3, outputChannels: channels, kernel: 1, stride: 1, padding: 0),
          input: .interleaved,
          bias: false),
        ReLU("relu"),
        InterpretableMask("mask", shape: shape, categories: 2, options: options, filterTypes: types),
        Flatten("flatten"),
      ])
    var random = RandomSource(seed: 5, purpose: .test)
    for parameter in network.store.parameters {
      let weights = (0..<parameter.count).map { Float($0 % 4 == $0 / 3 % 3 ? 1 : 0) }
      parameter.importValues(
        parameter.shape.count == 1
          ? (0..<parameter.count).map { _ in random.uniform(0.5, 3) } : weights)
    }
    // Silent; all cells equal; few values, hence many ties; all different.
    let values = size * size * 3
    let pixels =
      [Float](repeating: 0, count: values) + [Float](repeating: 7, count: values)
      + (0..<4 * values).map { _ in random.uniform(0, 3).rounded(.down) } + self.random(2 * values)
    let preprocessing = Preprocessing(imageSize: size, meanKind: .none, mean: [0, 0, 0], scale: [1, 1, 1])
    try Samples.withFolder { folder in
      try ONNXModel(network, preprocessing, metadata: [:], source: "test").write(to: folder + "/model.onnx")
      let theirs = try ONNXProcess(model: folder + "/model.onnx", pixels: pixels).logits
      let mine = try network.evaluate(pixels, preprocessing, categories: 2)
      #expect(mine[0].allSatisfy { $0 == 0 })
      try expect(theirs, closeTo: mine, relative: 1e-6)
    }
  }

  @Test("a file is one message, its constants the network's arrays", arguments: ONNXCase.all)
  func message(_ example: ONNXCase) throws {
    try Samples.withFolder { folder in
      let network = example.network()
      let model = try ONNXModel(
        network, example.preprocessing,
        metadata: [
          "classes": "[]", "format": "icnn", "program_version": "1.2", "preprocessing": "{}",
          "preprocessing.mean": "AAAA",
        ], source: "test")
      try model.write(to: folder + "/model.onnx")
      let read = try ONNXModelProto(
        serializedBytes: [UInt8](Data(contentsOf: URL(fileURLWithPath: folder + "/model.onnx"))))
      #expect(read.producerVersion == "1.2")
      let metadata = Dictionary(uniqueKeysWithValues: read.metadataProps.map { ($0.key, $0.value) })
      #expect(metadata.keys.sorted() == ["architecture", "classes", "input", "outputs", "program_version"])
      #expect(metadata["architecture"] == example.architecture.name)
      let constants = Dictionary(uniqueKeysWithValues: read.graph.initializer.map { ($0.name, $0) })
      for parameter in network.store.parameters where !parameter.name.hasSuffix(".decay") {
        let constant = try #require(constants[parameter.name])
        #expect(constant.dims == parameter.shape.map(Int64.init))
        #expect(constant.rawData == parameter.exportValues().withUnsafeBytes { Data($0) })
      }
      #expect(read.graph.output.map(\.name) == ["logits"])
      #expect(Set(read.graph.node.flatMap(\.output)).count == read.graph.node.count)
      #expect(read.graph.node.count == model.operatorCount)
      // Sorted, and nothing is read that nobody makes.
      var known = Set(constants.keys).union(["image"])
      for node in read.graph.node {
        #expect(known.isSuperset(of: node.input), "\(node.name) reads \(node.input)")
        known.formUnion(node.output)
      }
      #expect(known.contains("logits"))
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["model.onnx"])
    }
  }

  @Test("a model that no protocol buffer can hold is refused and leaves nothing behind")
  func tooLarge() throws {
    try Samples.withFolder { folder in
      let example = ONNXCase(.compact, nil, .channel)
      let network = example.network()
      let model = try ONNXModel(network, example.preprocessing, metadata: [:], source: "test")
      try model.write(to: folder + "/model.onnx")
      let size = try #require(
        try FileManager.default.attributesOfItem(atPath: folder + "/model.onnx")[.size] as? Int)
      try model.write(to: folder + "/model.onnx", largest: size)
      let error = #expect(throws: WeightsError.self) {
        try model.write(to: folder + "/large.onnx", largest: size - 1)
      }
      #expect(error?.exitCode == 65)
      #expect("\(error!)".contains("it would have \(size) bytes"))
      let absent = #expect(throws: WeightsError.self) { try model.write(to: folder + "/absent/model.onnx") }
      #expect(absent?.exitCode == 74)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["model.onnx"])
    }
  }

  @Test("a file of PyTorch becomes the model of its network")
  func fileOfWeights() throws {
    try Samples.withFolder { folder in
      let source = try WeightsFile(path: Samples.bundled("alexnet_w16_checkpoint.pth"))
      let model = try ONNXModel(source, ArchitectureMatch.only(for: source))
      try model.write(to: folder + "/model.onnx")
      let read = try ONNXModelProto(
        serializedBytes: [UInt8](Data(contentsOf: URL(fileURLWithPath: folder + "/model.onnx"))))
      let constants = Dictionary(uniqueKeysWithValues: read.graph.initializer.map { ($0.name, $0) })
      for tensor in source.tensors {
        let bytes = try #require(constants[tensor.name]?.rawData)
        #expect(bytes == (try tensor.floats()).withUnsafeBytes { Data($0) })
      }
      #expect(constants["preprocessing.mean"] != nil)
    }
  }

  @Test("what is no whole network, or a network of masks without its checkpoint, is refused with its reason")
  func refused() throws {
    let whole = try WeightsFile(path: Samples.bundled("alexnet_w16_checkpoint.pth"))
    func refusal(_ file: WeightsFile, _ match: ArchitectureMatch?) -> String {
      let error = #expect(throws: WeightsError.self) { try ONNXModel(file, match) }
      #expect(error?.exitCode == 65)
      return error.map { "\($0)" } ?? ""
    }
    #expect(refusal(whole, nil).contains("not all of one known network"))
    let masked = WeightsFile(
      path: "masked", format: .safeTensors, tensors: whole.tensors, metadata: ["interpretable": "{}"],
      statedArchitecture: "alexnet", statedPreprocessing: .torchvision(imageSize: 224))
    #expect(refusal(masked, ArchitectureMatch.only(for: masked)).contains("checkpoint must be given"))
    let silent = WeightsFile(path: "silent", format: .matConvNet, tensors: whole.tensors)
    #expect(refusal(silent, ArchitectureMatch.only(for: silent)).contains("how images become inputs"))
    let partial = WeightsFile(
      path: "partial", format: .torch, tensors: whole.tensors.filter { $0.name != "classifier.1.bias" })
    #expect(refusal(partial, ArchitectureMatch.only(for: partial)).contains("first 'classifier.1.bias'"))
  }

  @Test("a layer without operators is named")
  func unknownLayer() throws {
    let network = Network(
      name: "odd", inputShape: Shape(batch: 1, channels: 3, height: 4, width: 4),
      layers: [Unknown("layer 51"), Flatten("flatten")])
    let error = #expect(throws: WeightsError.self) {
      try ONNXModel(
        network, Preprocessing(imageSize: 4, meanKind: .none, mean: [0, 0, 0], scale: [1, 1, 1]),
        metadata: [:],
        source: "a place")
    }
    #expect("\(error!)".contains("a place: no ONNX operators are known for its layer 'layer 51'"))
  }
}

/// A layer of a kind that nobody exports.
private final class Unknown: Layer {
  let name: String
  var needsInputGradient = true
  init(_ name: String) { self.name = name }
  func outputShape(for input: Shape) -> Shape { input }
  func forward(_ x: Tensor, _ context: StepContext) -> Tensor { x }
  func backward(_ dy: Tensor, _ context: StepContext) -> Tensor? { dy }
}
