import Datasets
import Foundation
import Networks
import Tensors

/// A network in evaluation as an ONNX model that takes pixels.
///
/// Input `image`: float [N, 3, H, W], RGB in 0…255, any N; the graph subtracts the mean and scales. Output `logits`:
/// float [N, L]. Everything else that a user must know is in `metadata_props`.
///
/// Operator set 17 in IR version 8 (ONNX 1.12, 2022), operators of the standard alone.
public struct ONNXModel {
  /// Operators of the graph.
  public var operatorCount: Int { graph.nodes.count }
  /// Learned and other constant values.
  public var valueCount: Int { graph.constants.reduce(0) { $0 + $1.shape.reduce(1, *) } }

  private static let irVersion: Int64 = 8
  private static let operatorSet: Int64 = 17
  private static let input = "image"
  private static let output = "logits"
  /// Protocol buffers end where an Int32 does.
  static let largestFile = Int(Int32.max)

  // The graph's constants read its arrays, so it must live as long.
  private let network: Network
  private let graph: ONNXGraph
  private let metadata: [String: String]

  /// The model of a network, whose parameters are read when it is written.
  ///
  /// - Parameters:
  ///   - preprocessing: for images of the network's size.
  ///   - metadata: what else is known, under the keys of safetensors files (docs/Weights.md).
  ///   - source: where the network came from, for errors.
  /// - Throws: `WeightsError.cannotExport` if a layer has no form in ONNX.
  public init(
    _ network: Network, _ preprocessing: Preprocessing, metadata: [String: String], source: String
  ) throws(WeightsError) {
    precondition(
      preprocessing.imageSize == network.inputShape.height && network.inputShape.channels == 3,
      "ONNXModel: preprocessing for \(preprocessing.imageSize) pixels, a network for \(network.inputShape)")
    var graph = ONNXGraph()
    let x = preprocessing.add(to: &graph, Self.input)
    do throws(ONNXGraph.UnknownLayer) {
      graph.rename(try graph.add(network.layers, x, input: network.inputShape), to: Self.output)
    } catch {
      throw .cannotExport(path: source, reason: "no ONNX operators are known for its layer '\(error.layer)'")
    }
    self.network = network
    self.graph = graph
    self.metadata = Self.metadata(metadata, preprocessing, network)
  }

  /// The model of a file of weights of an ordinary network.
  ///
  /// - Throws: `WeightsError`: `.cannotExport` if the file has not all of a network, does not say how images become inputs, or
  ///   is of an interpretable network, whose masks only a checkpoint knows.
  public init(_ file: WeightsFile, _ match: ArchitectureMatch?) throws(WeightsError) {
    guard let match, let outputs = match.outputs else {
      throw .cannotExport(path: file.path, reason: "its arrays are not all of one known network")
    }
    guard file.metadata["interpretable"] == nil else {
      throw .cannotExport(
        path: file.path, reason: "it is of an interpretable network, whose checkpoint must be given instead")
    }
    guard let preprocessing = file.preprocessing(for: match) else {
      throw .cannotExport(path: file.path, reason: "it does not say how images become inputs")
    }
    var options = NetworkOptions(outputs: outputs, imageSize: preprocessing.imageSize)
    options.widths = match.widths
    guard preprocessing.imageSize >= match.architecture.smallestImageSize else {
      throw .cannotExport(
        path: file.path,
        reason: "\(match.architecture.name) takes no images of \(preprocessing.imageSize) pixels")
    }
    let network = match.architecture.build(options)
    let report = try InitialWeights.load(file, into: network)
    guard let absent = report.fresh.first else {
      try self.init(network, preprocessing, metadata: file.metadata, source: file.path)
      return
    }
    throw .cannotExport(
      path: file.path, reason: "\(report.fresh.count) arrays of the network are not in it, first '\(absent)'")
  }

  private static func metadata(
    _ known: [String: String], _ preprocessing: Preprocessing, _ network: Network
  ) -> [String: String] {
    var result = known
    result["format"] = nil
    result["network"] = nil
    // The mean is in the graph: who applied it as safetensors files ask would subtract it twice.
    result["preprocessing"] = nil
    result["preprocessing.mean"] = nil
    result["architecture"] = network.name
    result["outputs"] = String(network.outputs)
    result["input"] =
      "RGB, 0...255, [N, 3, \(preprocessing.imageSize), \(preprocessing.imageSize)]; mean and "
      + "scale are in the graph"
    return result
  }
}

extension ONNXModel {
  /// Writes the model beside its place and renames it, so that a file of that name is whole.
  ///
  /// - Parameter largest: of a file, in bytes.
  /// - Throws: `WeightsError.cannotExport` for models beyond 2 GB, which no protocol buffer holds; `.cannotWrite`.
  public func write(to path: String) throws(WeightsError) { try write(to: path, largest: Self.largestFile) }

  func write(to path: String, largest: Int) throws(WeightsError) {
    let partial = path + ".partial"
    do throws(WeightsError) {
      try writeMessage(to: partial, named: path, largest: largest)
      guard rename(partial, path) == 0 else {
        throw .cannotWrite(path: path, reason: String(cString: strerror(errno)))
      }
    } catch {
      unlink(partial)
      throw error
    }
  }

  /// The message by hand where it holds large values, so that one tensor at a time is in memory: a field is its tag, its length
  /// and its bytes, and fields of one message may stand in any order (protobuf.dev/programming-guides/encoding).
  private func writeMessage(to path: String, named result: String, largest: Int) throws(WeightsError) {
    guard let model = try? modelWithoutGraph.serializedBytes() as [UInt8],
      let body = try? graphWithoutConstants.serializedBytes() as [UInt8]
    else { throw .cannotWrite(path: result, reason: "its messages cannot be encoded") }
    var headers: [[UInt8]] = []
    var graphLength = body.count
    for constant in graph.constants {
      guard var header = try? constant.header.serializedBytes() as [UInt8] else {
        throw .cannotWrite(path: result, reason: "the message of \(constant.name) cannot be encoded")
      }
      header += Field.rawData.beginning(length: constant.byteCount)
      let length = header.count + constant.byteCount
      headers.append(Field.initializer.beginning(length: length) + header)
      graphLength += headers[headers.count - 1].count + constant.byteCount
    }
    let beginning = model + Field.graph.beginning(length: graphLength) + body
    let total = beginning.count - body.count + graphLength
    guard total <= largest else {
      throw .cannotExport(
        path: result, reason: "it would have \(total) bytes, and an ONNX file has at most \(largest)")
    }
    var file = try ChecksummedFile(path: path)
    try file.append(beginning)
    for (constant, header) in zip(graph.constants, headers) {
      try file.append(header)
      try file.append([UInt8](constant.bytes()))
    }
    _ = try file.close()
  }

  /// Fields that hold what comes piece by piece.
  private enum Field: Int {
    /// ModelProto.graph.
    case graph = 7
    /// GraphProto.initializer.
    case initializer = 5
    /// TensorProto.raw_data.
    case rawData = 9

    /// Tag (wire type 2: so many bytes) and length.
    func beginning(length: Int) -> [UInt8] {
      var result = [UInt8(rawValue << 3 | 2)]
      var rest = length
      while rest >= 0x80 {
        result.append(UInt8(rest & 0x7F | 0x80))
        rest >>= 7
      }
      return result + [UInt8(rest)]
    }
  }

  private var modelWithoutGraph: ONNXModelProto {
    var result = ONNXModelProto()
    result.irVersion = Self.irVersion
    result.producerName = "icnn"
    result.producerVersion = metadata["program_version"] ?? ""
    var operators = ONNXOperatorSetIdProto()
    operators.domain = ""
    operators.version = Self.operatorSet
    result.opsetImport = [operators]
    result.metadataProps = metadata.sorted { $0.key < $1.key }.map { key, value in
      var entry = ONNXStringStringEntryProto()
      entry.key = key
      entry.value = value
      return entry
    }
    return result
  }

  private var graphWithoutConstants: ONNXGraphProto {
    var result = ONNXGraphProto()
    result.name = network.name
    result.node = graph.nodes
    result.input = [
      Self.value(
        Self.input, [network.inputShape.channels, network.inputShape.height, network.inputShape.width])
    ]
    result.output = [Self.value(Self.output, [network.outputs])]
    return result
  }

  /// A float tensor [N, extents].
  private static func value(_ name: String, _ extents: [Int]) -> ONNXValueInfoProto {
    var batch = ONNXTensorShapeProto.Dimension()
    batch.dimParam = "N"
    var tensor = ONNXTypeProto.Tensor()
    tensor.elemType = .float
    tensor.shape.dim =
      [batch]
      + extents.map { extent in
        var dimension = ONNXTensorShapeProto.Dimension()
        dimension.dimValue = Int64(extent)
        return dimension
      }
    var result = ONNXValueInfoProto()
    result.name = name
    result.type.tensorType = tensor
    return result
  }
}

extension Preprocessing {
  /// (pixel − mean) · scale; returns the name of the result.
  fileprivate func add(to graph: inout ONNXGraph, _ image: String) -> String {
    var value = image
    if meanKind != .none {
      let cells = mean.count / 3
      let side = meanKind == .pixel ? imageSize : 1
      let planes = (0..<3).flatMap { c in (0..<cells).map { mean[3 * $0 + c] } }
      let constant = graph.add(ONNXTensor("preprocessing.mean", shape: [1, 3, side, side], planes))
      value = graph.add("Sub", "preprocessing.centred", [value, constant])
    }
    if scale != [1, 1, 1] {
      let constant = graph.add(ONNXTensor("preprocessing.scale", shape: [1, 3, 1, 1], scale))
      value = graph.add("Mul", "preprocessing.scaled", [value, constant])
    }
    return value
  }
}
