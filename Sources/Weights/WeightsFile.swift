import Datasets
import Foundation

/// The weights of a network in a file of any format that is read here, their values read on demand.
///
/// Names are torchvision's where it has the network, Caffe's otherwise ("conv1.weight"); convolutions [O, I, kh, kw],
/// matrices [out, in], their columns in the order channel, row, column.
public struct WeightsFile {
  /// How a file is written.
  public enum Format: String, Sendable {
    case safeTensors = "safetensors"
    case torch = "PyTorch"
    case matConvNet = "MatConvNet"
    case checkpoint = "icnn checkpoint"
  }

  /// Where it lies.
  public let path: String
  /// How it is written.
  public let format: Format
  /// In the file's order.
  public let tensors: [StoredTensor]
  /// What the file says of itself.
  public let metadata: [String: String]
  /// The network that the file says it is of.
  public let statedArchitecture: String?
  /// What the file says that images become before the network sees them.
  public let statedPreprocessing: Preprocessing?
  private let indices: [String: Int]

  /// Weights from anywhere.
  public init(
    path: String, format: Format, tensors: [StoredTensor], metadata: [String: String] = [:],
    statedArchitecture: String? = nil, statedPreprocessing: Preprocessing? = nil
  ) {
    self.path = path
    self.format = format
    self.tensors = tensors.map(Self.withCurrentName)
    self.metadata = metadata
    self.statedArchitecture = statedArchitecture
    self.statedPreprocessing = statedPreprocessing
    indices = Dictionary(self.tensors.enumerated().map { ($1.name, $0) }) { first, _ in first }
  }

  /// torchvision's published DenseNets have names from before its 0.2: "….denselayer1.norm.1.weight" became
  /// "….denselayer1.norm1.weight".
  private static func withCurrentName(_ tensor: StoredTensor) -> StoredTensor {
    var parts = tensor.name.split(separator: ".", omittingEmptySubsequences: false)
    guard let layer = parts.firstIndex(where: { $0.hasPrefix("denselayer") }), layer + 3 < parts.count,
      ["norm", "conv"].contains(parts[layer + 1]), ["1", "2"].contains(parts[layer + 2])
    else { return tensor }
    parts[layer + 1] += parts.remove(at: layer + 2)
    var renamed = tensor
    renamed.name = parts.joined(separator: ".")
    return renamed
  }

  /// Opens a file; what it is, is seen from its first bytes.
  ///
  /// - Throws: `WeightsError`.
  public init(path: String) throws(WeightsError) {
    let contents = try mapFile(path)
    // Looked at first: the length of a header may begin with any byte, that of a pickle too.
    if SafeTensors.mayBe(contents) {
      try self.init(safeTensors: path)
    } else if TorchFile.mayBe(contents) {
      self.init(path: path, format: .torch, tensors: TimmNames.translated(try TorchFile.read(path, contents)))
    } else if MatConvNetFile.mayBe(contents) {
      self = try MatConvNetFile.read(path)
    } else {
      throw .unsupported(path: path, reason: "it is neither safetensors nor a file of PyTorch or MATLAB")
    }
  }

  private init(safeTensors path: String) throws(WeightsError) {
    let reader = try SafeTensors.Reader(path: path)
    var tensors = reader.names.compactMap { reader.tensors[$0] }
    // In a checkpoint's own file the mean image lies among the weights.
    let mean = tensors.firstIndex { $0.name == Self.meanName }.map { tensors.remove(at: $0) }
    self.init(
      path: path, format: .safeTensors, tensors: TimmNames.translated(tensors), metadata: reader.metadata,
      statedArchitecture: reader.metadata["architecture"] ?? reader.metadata["network"],
      statedPreprocessing: try Preprocessing(
        metadata: reader.metadata, pixelMean: try mean?.floats(), path: path))
  }

  /// The mean image's name in the model file of a checkpoint.
  package static let meanName = "preprocessing.mean"

  /// The tensor of that name.
  public subscript(_ name: String) -> StoredTensor? { indices[name].map { tensors[$0] } }

  /// Values of all tensors.
  public var valueCount: Int { tensors.reduce(0) { $0 + $1.count } }

  /// How images become inputs: as the file says; else, if it is one of torchvision's networks, as torchvision says.
  public func preprocessing(for match: ArchitectureMatch?) -> Preprocessing? {
    if let statedPreprocessing { return statedPreprocessing }
    guard let match, metadata["format"] != "icnn", format == .torch || format == .safeTensors,
      Self.torchvisionArchitectures.contains(match.architecture.name)
    else { return nil }
    return .torchvision(imageSize: match.architecture.imageSize)
  }

  private static let torchvisionArchitectures: Set = [
    "alexnet", "vgg16", "resnet18", "resnet50", "densenet121",
  ]
}
