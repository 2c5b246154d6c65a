import Tensors

/// Strings layers together and keeps track of the shape, so that an architecture's file reads like its paper.
package struct NetworkBuilder {
  /// The layers so far.
  package private(set) var layers: [any Layer] = []
  /// Shape of one image.
  let inputShape: Shape
  /// Shape of the last layer's output for one image.
  private(set) var shape: Shape
  /// Shapes of the maps that are masked.
  private(set) var maskShapes: [Shape] = []
  /// What the network is built for.
  let options: NetworkOptions
  private let dropoutRate: Float
  private var readsImages = true

  /// Learned values of all layers.
  var parameterCount: Int { layers.flatMap(\.parameters).reduce(0) { $0 + $1.count } }

  init(input: Shape, _ options: NetworkOptions, defaultDropout: Float) {
    inputShape = input
    shape = input
    self.options = options
    dropoutRate = options.dropout ?? defaultDropout
  }

  /// Hidden channels of a layer after `widths` and `widthDivisor`.
  private func width(_ name: String, _ published: Int) -> Int {
    if let width = options.widths[name] { return width }
    let width = published / options.widthDivisor
    return options.roundsWidths ? max(16, (width + 15) / 16 * 16) : max(1, width)
  }

  private mutating func append(_ layer: any Layer, isNew: Bool = false) {
    // The paper draws what stands above pre-trained layers from N(0, 0.01²). From scratch that would let the signal
    // die on its way through a deep network without batch normalisation; He's variance keeps it.
    for parameter in layer.parameters where parameter.shape.count > 1 {
      parameter.initializer =
        isNew && options.startsFromPretrained ? .normal(standardDeviation: 0.01) : .heNormal
    }
    (layer as? Convolution)?.algorithm = options.convolutionAlgorithm
    layers.append(layer)
    readsImages = false
    shape = layer.outputShape(for: shape)
  }

  /// Convolution to `channels` maps. He initialisation.
  mutating func convolution(
    _ name: String, _ channels: Int, kernel: Int, stride: Int = 1, padding: Int = 0, groups: Int = 1,
    bias: Bool = true
  ) {
    append(
      Convolution(
        name,
        ConvolutionGeometry(
          inputChannels: shape.channels, outputChannels: width(name, channels), kernel: kernel,
          stride: stride, padding: padding, groups: groups),
        input: readsImages ? .interleaved : .blocked, bias: bias))
  }

  mutating func relu(_ name: String) { append(ReLU(name)) }

  mutating func batchNormalization(_ name: String) {
    append(
      BatchNormalization(
        name, channels: shape.channels, synchronized: options.synchronizedBatchNormalization))
  }

  mutating func maxPooling(
    _ name: String, kernel: Int, stride: Int, padding: Int = 0, ceilMode: Bool = false
  ) {
    append(
      MaxPooling(
        name, PoolingWindow(kernel: kernel, stride: stride, padding: padding, ceilMode: ceilMode)))
  }

  /// Residual block: a body, and a shortcut that is the identity unless layers are given.
  mutating func residual(
    _ name: String, shortcut: ((inout Self) -> Void)? = nil, body: (inout Self) -> Void
  ) {
    append(Residual(name, body: part(body), shortcut: shortcut.map { part($0) } ?? []))
  }

  /// Dense block of `count` layers, each a 1×1 and a 3×3 convolution with batch normalisations, to `growth` maps more;
  /// and the normalisation after the block.
  mutating func denseBlock(_ name: String, count: Int, growth: Int, bottleneck: Int, closing: String) {
    var below = self
    let layers = (1...count).map { index in
      let layer = "\(name).denselayer\(index)"
      var inner = below
      inner.layers = []
      inner.convolution("\(layer).conv1", bottleneck, kernel: 1, bias: false)
      inner.batchNormalization("\(layer).norm2")
      inner.relu("\(layer).relu2")
      inner.convolution("\(layer).conv2", growth, kernel: 3, padding: 1, bias: false)
      below.shape.channels += inner.shape.channels
      return DenseBlock.DenseLayer(norm: "\(layer).norm1", body: inner.layers)
    }
    append(
      DenseBlock(
        name, channels: shape.channels, layers: layers, closing: closing,
        synchronized: options.synchronizedBatchNormalization))
  }

  mutating func averagePooling(_ name: String, kernel: Int, stride: Int) {
    append(AveragePooling(name, PoolingWindow(kernel: kernel, stride: stride)))
  }

  /// Layers of a composite.
  private func part(_ assemble: (inout Self) -> Void) -> [any Layer] {
    var inner = self
    inner.layers = []
    assemble(&inner)
    return inner.layers
  }

  mutating func globalAveragePooling(_ name: String) { append(AveragePooling(global: name)) }

  /// Caffe's form: x / (kappa + alpha/5 · Σ x²)^0.75 over 5 channels.
  mutating func localResponseNormalization(_ name: String, kappa: Float = 2, alphaOfMean alpha: Float = 5e-4)
  {
    append(LocalResponseNormalization(name, size: 5, kappa: kappa, alphaOfMean: alpha, beta: 0.75))
  }

  mutating func flatten(_ name: String) { append(Flatten(name)) }

  mutating func dropout(_ name: String) {
    append(Dropout(name, rate: Double(dropoutRate)))
  }

  /// A hidden fully connected layer.
  mutating func linear(_ name: String, _ features: Int) {
    append(Linear(name, inputs: shape.features, outputs: width(name, features)), isNew: true)
  }

  /// The last layer: L logits.
  mutating func logits(_ name: String) {
    append(Linear(name, inputs: shape.features, outputs: options.outputs), isNew: true)
  }

  /// What stands between the top convolution's ReLU and the top pooling.
  ///
  /// Ordinary network: the pooling alone. Interpretable network (Zhang et al., CVPR 2018, section 3): the maps of
  /// the top convolution are masked, a new 3×3 convolution with as many filters follows, and its maps are masked
  /// too: before the pooling in the paper, after it in the authors' code.
  mutating func interpretableTop(
    batchNormalization hasBatchNormalization: Bool = false, pooling: (inout Self) -> Void
  ) {
    guard let interpretable = options.interpretable else { return pooling(&self) }
    mask(interpretable)
    let channels = shape.channels
    append(
      Convolution(
        "interpretable.0",
        ConvolutionGeometry(
          inputChannels: channels, outputChannels: channels, kernel: 3, stride: 1, padding: 1),
        bias: !hasBatchNormalization), isNew: true)
    if hasBatchNormalization { batchNormalization("interpretable.1") }
    relu("interpretable.relu")
    if interpretable.formulation == .paper {
      mask(interpretable)
      pooling(&self)
    } else {
      pooling(&self)
      mask(interpretable)
    }
  }

  /// What stands above the last block of a network with skip connections: nothing in the ordinary network; in the
  /// interpretable one two new 3×3 convolutions with at most 512 filters, each with batch normalisation, ReLU and a
  /// mask. The maps of the block itself are sums of many filters', which no mask can give to one part.
  mutating func interpretableTopOfBlocks() {
    guard let interpretable = options.interpretable else { return }
    let channels = min(shape.channels, width("interpretable.0", 512))
    for index in [0, 1] {
      append(
        Convolution(
          "interpretable.\(3 * index)",
          ConvolutionGeometry(
            inputChannels: shape.channels, outputChannels: channels, kernel: 3, stride: 1, padding: 1),
          bias: false), isNew: true)
      batchNormalization("interpretable.\(3 * index + 1)")
      relu("interpretable.\(3 * index + 2)")
      mask(interpretable)
    }
  }

  private mutating func mask(_ interpretable: InterpretableOptions) {
    append(
      InterpretableMask(
        "interpretable.mask\(maskShapes.count)", shape: shape, categories: max(options.outputs, 2),
        outputs: options.outputs, options: interpretable))
    maskShapes.append(shape)
  }
}
