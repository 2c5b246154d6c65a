import Networks
import Tensors

/// What a network consists of and costs, for one image.
///
/// A multiply-add is one of the plain formula of a convolution or linear layer, and counts as two operations. What other
/// layers compute is not counted, as is usual.
public struct NetworkSummary: Encodable, Sendable, Equatable {
  /// Name of the architecture.
  public let name: String
  /// [3, H, W].
  public let input: [Int]
  /// L, the number of logits.
  public let outputs: Int
  /// Learned values of all layers.
  public let parameters: Int
  /// Of one forward pass over one image.
  public let multiplyAdds: Int
  /// In forward order.
  public let layers: [LayerSummary]

  enum CodingKeys: String, CodingKey {
    case name, input, outputs, parameters
    case multiplyAdds = "multiply_adds"
    case layers
  }

  /// Looks at a network; nothing is computed.
  public init(_ network: Network) {
    name = network.name
    input = network.inputShape.extents
    outputs = network.outputs
    layers = LayerSummary.chain(network.layers, input: network.inputShape, field: .pixels)
    parameters = layers.reduce(0) { $0 + $1.parameters }
    multiplyAdds = layers.reduce(0) { $0 + $1.multiplyAdds }
  }
}

/// One layer of a `NetworkSummary`.
public struct LayerSummary: Encodable, Sendable, Equatable {
  /// Unique in its network.
  public let name: String
  /// In words: "convolution", "residual block", …
  public let kind: String
  /// [C, H, W], or [features].
  public let output: [Int]
  /// Learned values, parts included.
  public let parameters: Int
  /// For one image, parts included.
  public let multiplyAdds: Int
  /// What one unit sees of the input; nil where units have no place (flattened maps, linear layers).
  public let receptiveField: ReceptiveField?
  /// The layers inside a composite, chain by chain; each chain reads the composite's input.
  public let parts: [LayerSummary]

  enum CodingKeys: String, CodingKey {
    case name, kind, output, parameters
    case multiplyAdds = "multiply_adds"
    case receptiveField = "receptive_field"
    case parts
  }

  private init(_ layer: any Layer, input: Shape, field: ReceptiveField?) {
    let shape = layer.outputShape(for: input)
    name = layer.name
    kind = layer is Residual ? "residual block" : LayerWork.kind(of: layer)
    output = shape.extents
    parts = layer.chains.flatMap { Self.chain($0, input: input, field: field) }
    parameters = layer.parameters.reduce(0) { $0 + $1.count }
    multiplyAdds = parts.reduce(LayerWork.multiplyAdds(of: layer, output: shape)) { $0 + $1.multiplyAdds }
    receptiveField = field?.followed(by: layer, input: input)
  }

  /// The layers of a chain, whose first one reads maps of that shape and field.
  fileprivate static func chain(_ layers: [any Layer], input: Shape, field: ReceptiveField?) -> [LayerSummary]
  {
    var (shape, field) = (input.with(batch: 1), field)
    return layers.map { layer in
      let summary = LayerSummary(layer, input: shape, field: field)
      shape = layer.outputShape(for: shape)
      field = summary.receptiveField
      return summary
    }
  }
}

extension Shape {
  /// [C, H, W], or [features] of flat vectors.
  fileprivate var extents: [Int] { cells == 1 ? [channels] : [channels, height, width] }
}
