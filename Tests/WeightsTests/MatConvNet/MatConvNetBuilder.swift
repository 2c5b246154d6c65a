import Networks
import Tensors

@testable import MATFiles

/// MATLAB values as MatConvNet lays out networks, from our architectures.
struct MatConvNetBuilder {
  /// One struct with these fields.
  static func structure(_ fields: [(String, MATValue)]) -> MATValue {
    .structure(MATStructure(extents: [1, 1], fieldNames: fields.map(\.0), values: fields.map(\.1)))
  }

  static func numbers(_ values: [Double]) -> MATValue {
    .numbers(MATNumbers(extents: [1, values.count], storage: .doubles(values)))
  }

  static func singles(_ values: [Float], _ extents: [Int]) -> MATValue {
    .numbers(MATNumbers(extents: extents, storage: .floats(values)))
  }

  /// What filter `output` of layer `layer` holds at a place: all different.
  static func value(_ layer: Int, _ output: Int, _ input: Int, _ row: Int, _ column: Int) -> Float {
    Float(layer * 7) + Float(output) + Float(input) / 64 + Float(row) / 1024 + Float(column) / 65_536
  }

  /// Filters and biases in a cell, as since 2015, or in fields of their own.
  var isOld = false
  /// Single numbers where both directions are equal.
  var hasScalars = false

  /// The layers of a network as a cell array.
  func layers(_ architecture: Architecture, widths: [String: Int], outputs: Int) -> [MATValue] {
    var options = NetworkOptions(outputs: outputs)
    options.widths = widths
    var shape = Shape(batch: 1, channels: 3, height: architecture.imageSize, width: architecture.imageSize)
    var result: [MATValue] = []
    var below = shape
    for (index, layer) in architecture.layers(options).layers.enumerated() {
      if let fields = fields(layer, index, height: below.height) {
        result.append(Self.structure([("name", .text(layer.name))] + fields))
      }
      shape = layer.outputShape(for: shape)
      // The first fully connected layer reads the map below the flatten, through dropouts.
      if !(layer is Flatten || layer is Dropout) { below = shape }
    }
    return result + [Self.structure([("type", .text("softmax"))])]
  }

  private func fields(_ layer: any Layer, _ index: Int, height: Int) -> [(String, MATValue)]? {
    switch layer {
    case let layer as Convolution:
      let geometry = layer.geometry
      let pad = geometry.padding
      return convolution(
        index,
        [geometry.kernelHeight, geometry.kernelWidth, layer.weights.shape[1], geometry.outputChannels],
        stride: pair(geometry.strideHeight),
        padding: hasScalars ? [pad.top] : [pad.top, pad.bottom, pad.left, pad.right])
    case let layer as Linear:
      return convolution(
        index, [height, height, layer.inputs / height / height, layer.outputs], stride: pair(1),
        padding: [0, 0, 0, 0])
    case is ReLU: return [("leak", Self.numbers([0])), ("type", .text("relu"))]
    case is Dropout: return [("type", .text("dropout")), ("rate", Self.numbers([0.5]))]
    case let layer as MaxPooling:
      return [
        ("type", .text("pool")), ("method", .text("max")),
        ("pool", Self.numbers(pair(layer.window.kernelHeight))),
        ("stride", Self.numbers(pair(layer.window.strideHeight))), ("pad", Self.numbers([0, 1, 0, 1])),
      ]
    case let layer as LocalResponseNormalization:
      let formula = layer.normalization
      let values = [Float(2 * formula.radius + 1), formula.kappa, formula.alpha, formula.beta].map(
        Double.init)
      return [("param", Self.numbers(values)), ("type", .text(isOld ? "normalize" : "lrn"))]
    default: return nil
    }
  }

  private func pair(_ value: Int) -> [Double] {
    [Double](repeating: Double(value), count: hasScalars ? 1 : 2)
  }

  private func convolution(_ layer: Int, _ extents: [Int], stride: [Double], padding: [Int]) -> [(
    String, MATValue
  )] {
    var values: [Float] = []
    for output in 0..<extents[3] {
      for input in 0..<extents[2] {
        for column in 0..<extents[1] {
          for row in 0..<extents[0] { values.append(Self.value(layer, output, input, row, column)) }
        }
      }
    }
    let filters = Self.singles(values, extents)
    let bias = Self.singles(
      (0..<extents[3]).map { Float($0) - 0.5 }, isOld ? [1, extents[3]] : [extents[3], 1])
    let geometry = [("stride", Self.numbers(stride)), ("pad", Self.numbers(padding.map(Double.init)))]
    return isOld
      ? [("type", .text("conv")), ("filters", filters), ("biases", bias)] + geometry
      : geometry + [
        ("weights", .cell(extents: [1, 2], elements: [filters, bias])), ("type", .text("conv")),
      ]
  }
}
