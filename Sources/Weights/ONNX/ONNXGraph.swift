import Networks
import Tensors

/// A graph of ONNX operators in the making. Values are named after the layer that makes them, learned arrays as in files
/// of weights.
struct ONNXGraph {
  /// An operator's setting.
  enum Attribute {
    case int(Int)
    case ints([Int])
    case float(Double)
  }

  /// Every operator stands after those whose outputs it reads.
  private(set) var nodes: [ONNXNodeProto] = []
  /// Learned arrays and other constants.
  private(set) var constants: [ONNXTensor] = []

  /// Adds an operator (https://onnx.ai/onnx/operators) and returns the name of its output, which is its own.
  mutating func add(
    _ operation: String, _ name: String, _ inputs: [String], _ attributes: [(String, Attribute)] = []
  ) -> String {
    var node = ONNXNodeProto()
    node.opType = operation
    node.name = name
    node.input = inputs
    node.output = [name]
    node.attribute = attributes.map(Self.message)
    nodes.append(node)
    return name
  }

  /// Adds a constant and returns its name.
  mutating func add(_ constant: ONNXTensor) -> String {
    constants.append(constant)
    return constant.name
  }

  /// Adds a chain of layers and returns the name of its output.
  ///
  /// - Parameters:
  ///   - x: name of the first layer's input.
  ///   - input: its shape for one image.
  /// - Throws: `UnknownLayer`.
  mutating func add(_ chain: [any Layer], _ x: String, input: Shape) throws(UnknownLayer) -> String {
    var (value, shape) = (x, input)
    for layer in chain {
      guard let layer = layer as? any ONNXLayer else { throw UnknownLayer(layer: layer.name) }
      value = try layer.add(to: &self, value, input: shape)
      shape = layer.outputShape(for: shape)
    }
    return value
  }

  /// Gives a value another name.
  mutating func rename(_ value: String, to name: String) {
    for index in nodes.indices {
      nodes[index].input = nodes[index].input.map { $0 == value ? name : $0 }
      nodes[index].output = nodes[index].output.map { $0 == value ? name : $0 }
    }
  }

  /// A layer that nobody has told how to become operators.
  struct UnknownLayer: Error {
    let layer: String
  }

  private static func message(_ name: String, _ value: Attribute) -> ONNXAttributeProto {
    var result = ONNXAttributeProto()
    result.name = name
    switch value {
    case .int(let value): (result.type, result.i) = (.int, Int64(value))
    case .ints(let values): (result.type, result.ints) = (.ints, values.map(Int64.init))
    case .float(let value): (result.type, result.f) = (.float, Float(value))
    }
    return result
  }
}
