import Foundation
import Networks

/// A constant of a graph; its values are asked for when they are written, one tensor at a time.
struct ONNXTensor {
  let name: String
  let type: ONNXTensorProto.DataType
  let shape: [Int]
  /// Row-major, little-endian.
  let bytes: () -> Data

  /// Values that are at hand.
  init(_ name: String, shape: [Int], _ values: [Float]) {
    self.init(name, .float, shape: shape) { Self.data(values) }
  }

  /// Numbers of shapes and places.
  init(_ name: String, shape: [Int], _ values: [Int64]) {
    self.init(name, .int64, shape: shape) { Self.data(values) }
  }

  /// Values in Double.
  init(_ name: String, shape: [Int], _ values: [Double]) {
    self.init(name, .double, shape: shape) { Self.data(values) }
  }

  /// A learned array.
  init(_ parameter: Parameter) {
    self.init(parameter.name, .float, shape: parameter.shape) { Self.data(parameter.exportValues()) }
  }

  /// Running statistics, in Float.
  init(_ state: LayerState) {
    self.init(state.name, .float, shape: state.shape) { Self.data(state.values.map { Float($0) }) }
  }

  private init(
    _ name: String, _ type: ONNXTensorProto.DataType, shape: [Int], _ bytes: @escaping () -> Data
  ) {
    self.name = name
    self.type = type
    self.shape = shape
    self.bytes = bytes
  }

  private static func data<Value>(_ values: [Value]) -> Data { values.withUnsafeBytes { Data($0) } }

  /// Length of `bytes`.
  var byteCount: Int { shape.reduce(type == .float ? 4 : 8, *) }

  /// The message without the values.
  var header: ONNXTensorProto {
    var result = ONNXTensorProto()
    result.name = name
    result.dataType = type
    result.dims = shape.map(Int64.init)
    return result
  }
}
