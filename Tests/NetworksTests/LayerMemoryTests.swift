import Tensors
import TestSupport
import Testing

@testable import Networks

/// What a layer does not declare is overwritten before its backward: then a plan may give it to others.
@Suite("LayerMemory") struct LayerMemoryTests {
  private static let shape = Shape(batch: 3, channels: 20, height: 6, width: 6)

  private static func layer(_ kind: String) -> (layer: any Layer, input: Layout) {
    let geometry = ConvolutionGeometry(inputChannels: 20, outputChannels: 24, kernel: 3, padding: 1)
    var options = InterpretableOptions()
    switch kind {
    case "convolution": return (Convolution("layer", geometry), .blocked)
    case "convolution after ReLU":
      let convolution = Convolution("layer", geometry)
      convolution.inputIsRectified = true
      return (convolution, .blocked)
    case "fused relu":
      let relu = ReLU("layer")
      relu.isForwardFused = true
      relu.isBackwardFused = true
      return (relu, .blocked)
    case "residual", "residual with shortcut": return (residual(kind), .blocked)
    case "dense block":
      return (DenseBlockTests.block(DenseBlockTests.Widths(input: 20, growths: [12, 4])), .blocked)
    case "linear": return (Linear("layer", inputs: shape.features, outputs: 7), .flat)
    case "relu": return (ReLU("layer"), .blocked)
    case "dropout": return (Dropout("layer", rate: 0.5), .blocked)
    case "max pooling after ReLU":
      let pooling = MaxPooling("layer", PoolingWindow(kernel: 3, stride: 2))
      pooling.inputIsRectified = true
      return (pooling, .blocked)
    case "max pooling": return (MaxPooling("layer", PoolingWindow(kernel: 3, stride: 2)), .blocked)
    case "average pooling": return (AveragePooling("layer", PoolingWindow(kernel: 3, stride: 2)), .blocked)
    case "flatten": return (Flatten("layer"), .blocked)
    case "batch normalisation": return (BatchNormalization("layer", channels: 20), .blocked)
    case "response normalisation":
      return (
        LocalResponseNormalization("layer", size: 5, kappa: 2, alphaOfMean: 5e-4, beta: 0.75), .blocked
      )
    case "released mask": options.formulation = .released(corrected: false)
    case "corrected mask": options.formulation = .released(corrected: true)
    default: break
    }
    return (InterpretableMask("layer", shape: shape, categories: 3, options: options), .blocked)
  }

  /// 20 channels to 20, or to 24 with half the extent.
  private static func residual(_ kind: String) -> Residual {
    let isIdentity = kind == "residual"
    let (outputs, stride) = isIdentity ? (20, 1) : (24, 2)
    let first = ConvolutionGeometry(
      inputChannels: 20, outputChannels: outputs, kernel: 3, stride: stride, padding: 1)
    let second = ConvolutionGeometry(inputChannels: outputs, outputChannels: outputs, kernel: 3, padding: 1)
    let beside = ConvolutionGeometry(inputChannels: 20, outputChannels: outputs, kernel: 1, stride: stride)
    let block = Residual(
      "layer",
      body: [
        Convolution("layer.conv1", first, bias: false), BatchNormalization("layer.bn1", channels: outputs),
        ReLU("layer.relu1"), Convolution("layer.conv2", second, bias: false),
        BatchNormalization("layer.bn2", channels: outputs),
      ],
      shortcut: isIdentity
        ? []
        : [
          Convolution("layer.downsample.0", beside, bias: false),
          BatchNormalization("layer.downsample.1", channels: outputs),
        ])
    for parameter in block.parameters where parameter.shape.count > 1 { parameter.initializer = .heNormal }
    return block
  }

  private static let kinds = [
    "residual", "residual with shortcut", "dense block",
    "convolution", "convolution after ReLU", "linear", "relu", "fused relu", "dropout", "max pooling",
    "max pooling after ReLU", "average pooling", "flatten",
    "batch normalisation", "response normalisation", "paper mask", "released mask", "corrected mask",
  ]

  @Test("backward reads only what is declared, forward writes where it is declared", arguments: kinds)
  func declarations(kind: String) throws {
    let (honest, overwritten) = try withKernels(.current) {
      (
        try Self.pass(kind, overwritesUndeclared: false), try Self.pass(kind, overwritesUndeclared: true)
      )
    }
    #expect(honest.map(\.bitPattern) == overwritten.map(\.bitPattern))
    #expect(honest.contains { $0 != 0 } && honest.allSatisfy(\.isFinite))
  }

  // The corrected mask needs no map in backward, but the ReLU before it keeps them in any case.
  @Test(
    "what is declared is read: keeping it is no waste", arguments: kinds.filter { $0 != "corrected mask" })
  func necessity(kind: String) throws {
    let honest = try Self.pass(kind, overwritesUndeclared: false)
    let (layer, _) = Self.layer(kind)
    let use = layer.memory(for: Self.shape)
    guard use.backwardReadsInput || use.backwardReadsOutput else { return }
    let overwritten = try Self.pass(kind, overwritesUndeclared: true, overwritesDeclared: true)
    #expect(honest.map(\.bitPattern) != overwritten.map(\.bitPattern))
  }

  /// dx and the parameters' gradients of one step.
  private static func pass(
    _ kind: String, overwritesUndeclared: Bool, overwritesDeclared: Bool = false
  ) throws -> [Float] {
    let (layer, layout) = layer(kind)
    let store = ParameterStore(layer.parameters)
    store.initialize(seed: 3)
    let context = StepContext()
    context.globalBatchSize = 3
    context.sampleKeys = [0, 1, 2]
    context.categories = [0, 1, 2]
    context.categoryCount = 3
    context.signs = [1, -1, -1, -1, 1, -1, -1, -1, 1]
    context.labelShares = [0.3, 0.3, 0.4]
    let use = layer.memory(for: shape)
    let x = Tensor(shape, layout)
    var random = RandomSource(seed: 1, purpose: .test)
    x.fill(
      from: (0..<shape.batch * shape.features).map { _ in random.uniform(kind.hasSuffix("mask") ? 0 : -1, 1) }
    )
    let y = try layer.forward(x, context)
    var isInPlace = false
    switch use.output {
    case .input: isInPlace = true
    case .buffer(let buffer, let layout):
      #expect(buffer.prepare(y.shape, layout, capacity: x.capacity) === y)
    case .unplanned: Issue.record("\(kind) has no plan")
    }
    #expect((y === x) == isInPlace)
    let dy = Tensor(y.shape, y.layout)
    dy.fill(from: (0..<y.shape.batch * y.shape.features).map { _ in random.uniform(-1, 1) })
    // NaN spreads into whatever is computed from it; what is only compared notices a negative number.
    let junk: Float = overwritesDeclared ? -3 : .nan
    let readsValue = isInPlace ? use.backwardReadsInput || use.backwardReadsOutput : use.backwardReadsOutput
    if readsValue ? overwritesDeclared : overwritesUndeclared { y.values.update(repeating: junk) }
    if !isInPlace, use.backwardReadsInput ? overwritesDeclared : overwritesUndeclared {
      x.values.update(repeating: junk)
    }
    let dx = try #require(try layer.backward(dy, context))
    #expect((dx === dy) == use.backwardWorksInPlace)
    return dx.toArray() + layer.parameters.flatMap { $0.exportGradients() }
  }
}
