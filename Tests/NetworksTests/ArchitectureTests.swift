import Tensors
import Testing

@testable import Networks

@Suite("Architectures") struct ArchitectureTests {
  /// Parameters as the literature counts them, with 1000 classes: torchvision's models and the CNN-M and CNN-S of
  /// Chatfield et al.
  @Test(
    "published parameter counts",
    arguments: [
      ("alexnet", 61_100_840), ("caffe-alexnet", 60_965_224), ("vgg16", 138_357_544), ("vgg-m", 102_908_520),
      ("vgg-s", 102_908_520), ("resnet18", 11_689_512), ("resnet50", 25_557_032),
      ("densenet121", 7_978_856),
    ])
  func parameterCount(name: String, count: Int) throws {
    let architecture = try #require(Architecture.named(name))
    let builder = architecture.layers(NetworkOptions(outputs: 1000))
    #expect(builder.parameterCount == count)
  }

  /// Side of the maps and number of filters at the masks: 13, 13, 17, 14 in the paper's networks.
  @Test(
    "maps at the masks, and the cost of the new layer",
    arguments: [
      ("alexnet", 13, 256), ("caffe-alexnet", 13, 256), ("vgg-m", 13, 512), ("vgg-s", 17, 512),
      ("vgg16", 14, 512), ("compact", 12, 192),
    ])
  func masks(name: String, side: Int, filters: Int) throws {
    let architecture = try #require(Architecture.named(name))
    let ordinary = architecture.layers(NetworkOptions(outputs: 10))
    let builder = architecture.layers(NetworkOptions(outputs: 10, interpretable: InterpretableOptions()))
    #expect(builder.maskShapes.map(\.height) == [side, side])
    #expect(builder.maskShapes.map(\.channels) == [filters, filters])
    // Batch norm has two values per filter in place of the bias.
    let bias = name == "compact" ? 2 * filters : filters
    #expect(builder.parameterCount - ordinary.parameterCount == 9 * filters * filters + bias)
  }

  /// The maps of a residual or dense network's blocks are not masked: two new convolutions stand above them.
  @Test(
    "maps at the masks above skip connections, and the cost of the new layers",
    arguments: [("resnet18", 512), ("resnet50", 2048), ("densenet121", 1024)])
  func masksAboveBlocks(name: String, inputs: Int) throws {
    let architecture = try #require(Architecture.named(name))
    let ordinary = architecture.layers(NetworkOptions(outputs: 10))
    let builder = architecture.layers(NetworkOptions(outputs: 10, interpretable: InterpretableOptions()))
    #expect(builder.maskShapes.map(\.height) == [7, 7])
    #expect(builder.maskShapes.map(\.channels) == [512, 512])
    let fewerInputs = 10 * (inputs - 512)
    #expect(
      builder.parameterCount - ordinary.parameterCount
        == 9 * 512 * (inputs + 512) + 4 * 512 - fewerInputs)
  }

  @Test("layers of other widths, no multiples of 16, keep their channels and zeros between them")
  func widths() throws {
    var options = NetworkOptions(outputs: 3, imageSize: 67, interpretable: InterpretableOptions())
    options.widths = ["conv1": 6, "conv2": 20, "conv3": 24, "conv4": 24, "conv5": 18, "fc6": 10, "fc7": 33]
    let network = Architecture.caffeAlexNet.build(options)
    #expect(network.store.parameter(named: "conv2.weight")?.shape == [20, 3, 5, 5])
    #expect(network.store.parameter(named: "interpretable.0.weight")?.shape == [18, 18, 3, 3])
    #expect(network.store.parameter(named: "fc8.weight")?.shape == [3, 33])
    network.store.initialize(seed: 1)
    let context = StepContext()
    context.categoryCount = 3
    context.labelShares = [0.3, 0.3, 0.4]
    context.globalBatchSize = 2
    context.sampleKeys = [0, 1]
    context.categories = [0, 1]
    context.signs = [1, -1, -1, -1, 1, -1]
    let images = Tensor(Shape(batch: 2, channels: 3, height: 67, width: 67), .interleaved)
    var random = RandomSource(seed: 2, purpose: .test)
    for index in 0..<images.count { images.pointer[index] = random.uniform(-1, 1) }
    let result = SoftmaxCrossEntropy().evaluate(try network.forward(images, context), context)
    try network.backward(try #require(result.gradient), context) { _ in }
    #expect(MomentumSGD(network.store).update(learningRate: 0.01) == nil)
    for parameter in network.store.parameters {
      #expect(parameter.exportGradients().contains { $0 != 0 }, "\(parameter.name)")
      // What is exported and imported again is all there is: places between the channels stayed zero.
      let before = Array(UnsafeBufferPointer(start: parameter.values, count: parameter.storedCount))
      parameter.importValues(parameter.exportValues())
      #expect(Array(UnsafeBufferPointer(start: parameter.values, count: parameter.storedCount)) == before)
    }
  }

  @Test(
    "every architecture runs at its smallest size, in every form", arguments: Architecture.all.map(\.name))
  func runs(name: String) throws {
    let architecture = try #require(Architecture.named(name))
    let forms: [InterpretableOptions.Formulation?] = [
      nil, .paper, .released(corrected: false), .released(corrected: true),
    ]
    for form in forms {
      var options = NetworkOptions(outputs: 3, imageSize: architecture.smallestImageSize)
      options.widthDivisor = 32
      if let form {
        options.interpretable = InterpretableOptions()
        options.interpretable?.formulation = form
      }
      let network = architecture.build(options)
      network.store.initialize(seed: 1)
      let context = StepContext()
      context.categoryCount = 3
      context.labelShares = [0.3, 0.3, 0.4]
      for batch in [2, 0] {
        context.globalBatchSize = max(batch, 1)
        context.sampleKeys = Array(0..<UInt64(batch))
        context.categories = (0..<batch).map { Int32($0) }
        context.signs = (0..<batch).flatMap { n in (0..<3).map { $0 == n ? 1 : -1 } }
        let size = architecture.smallestImageSize
        let images = Tensor(Shape(batch: batch, channels: 3, height: size, width: size), .interleaved)
        var random = RandomSource(seed: 2, purpose: .test)
        for index in 0..<images.count { images.pointer[index] = random.uniform(-1, 1) }
        network.store.zeroGradients()
        let loss = SoftmaxCrossEntropy()
        let result = loss.evaluate(try network.forward(images, context), context)
        #expect(result.sum.isFinite)
        var ready = [network.store.count]
        try network.backward(try #require(result.gradient), context) { ready.append($0) }
        #expect(ready.last == 0 && zip(ready, ready.dropFirst()).allSatisfy { $0 >= $1 })
        let optimizer = MomentumSGD(network.store)
        #expect(optimizer.update(learningRate: 0.01) == nil)
        let largest = network.store.parameter(named: network.store.parameters[0].name)?.exportGradients()
        #expect((largest?.contains { $0 != 0 } ?? false) == (batch > 0))
      }
    }
  }
}
