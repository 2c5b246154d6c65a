import Datasets
import Foundation
import Networks
import Weights

extension WeightsFile {
  /// Opens a file of weights, a checkpoint, or the newest valid checkpoint of a run.
  ///
  /// - Throws: `WeightsError` for files, `CheckpointError` for checkpoints.
  public static func open(_ path: String) throws -> WeightsFile {
    try isFolder(path) ? WeightsFile(Checkpoint.open(path)) : WeightsFile(path: path)
  }

  /// Whether a path is that of a checkpoint or a run, which are folders.
  static func isFolder(_ path: String) -> Bool {
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue
  }

  /// The weights and running statistics of a checkpoint; the metadata say what else their user must know.
  ///
  /// - Throws: `WeightsError` if its file cannot be read.
  public init(_ checkpoint: Checkpoint) throws(WeightsError) {
    let file = try WeightsFile(path: checkpoint.modelPath)
    let state = checkpoint.state
    var metadata = ["format": "icnn"]
    metadata["classes"] = Self.json(state.classNames)
    metadata["outputs"] = String(state.outputs)
    metadata["activation"] = state.configuration.loss == .logistic ? "sigmoid" : "softmax"
    let augmentation = Augmentation(cropMargin: Float(state.configuration.cropMargin))
    metadata["resized_side"] = String(augmentation.resizedSide(imageSize: state.preprocessing.imageSize))
    metadata["program_version"] = state.programVersion
    metadata["data_fingerprint"] = state.dataFingerprint
    metadata["step"] = String(state.step)
    metadata["epoch"] = String(state.epoch)
    if checkpoint.state.configuration.interpretable {
      metadata["interpretable"] = Self.json(try InterpretableMetadata(file, checkpoint.state))
    }
    self.init(
      path: checkpoint.directory, format: .checkpoint, tensors: file.tensors, metadata: metadata,
      statedArchitecture: checkpoint.state.configuration.network,
      statedPreprocessing: checkpoint.state.preprocessing)
  }

  private static func json(_ value: some Encodable) -> String? {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) }
  }
}

/// What the masks of an interpretable network do in evaluation, and which category each filter belongs to.
struct InterpretableMetadata: Codable, Equatable {
  /// paper, released or corrected.
  let formulation: String
  /// Slope of the paper's mask: max(1 − beta · (|i − row|/H + |j − column|/W), −1) around the largest activation.
  let beta: Double
  /// Peak of the paper's mask: unit (1) or tau (0.5/(H·W)); or none, no mask at all.
  let maskScale: String
  /// Name of each mask, from the bottom, and the category of each of its filters; null where none is known.
  let filterCategories: [String: [String?]]

  enum CodingKeys: String, CodingKey {
    case formulation, beta
    case maskScale = "mask_scale"
    case filterCategories = "filter_categories"
  }

  init(_ file: WeightsFile, _ state: CheckpointState) throws(WeightsError) {
    formulation = state.configuration.formulation.rawValue
    beta = InterpretableOptions().beta
    maskScale = state.configuration.maskScale.rawValue
    var categories: [String: [String?]] = [:]
    for tensor in file.tensors where tensor.name.hasSuffix(Self.meansSuffix) && tensor.shape.count == 2 {
      let name = String(tensor.name.dropLast(Self.meansSuffix.count))
      categories[name] = try Self.categories(tensor, file[name + ".category_seen"], state)
    }
    filterCategories = categories
  }

  private static let meansSuffix = ".category_means"

  /// Of the categories seen, the one whose images activate a filter most; of single-category networks there is one.
  private static func categories(
    _ means: StoredTensor, _ seen: StoredTensor?, _ state: CheckpointState
  ) throws(WeightsError) -> [String?] {
    let values = try means.doubles()
    let isSeen = try seen?.doubles() ?? []
    let count = means.shape[1]
    guard isSeen.count == count, count <= state.classNames.count else { return [] }
    let owning = state.outputs == 1 && !state.configuration.negativeFilters ? 1 : count
    return (0..<means.shape[0]).map { filter in
      (0..<owning).filter { isSeen[$0] != 0 }.max {
        values[filter * count + $0] < values[filter * count + $1]
      }
      .map { state.classNames[$0] }
    }
  }
}
