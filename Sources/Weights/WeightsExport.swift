import Datasets
import Foundation
import Glibc

/// Weights as a safetensors file that PyTorch's `load_state_dict` takes: torchvision's names, statistics of batch norms as
/// it keeps them, and everything else a user of the weights must know in the metadata.
public struct WeightsExport {
  private let file: WeightsFile
  private let metadata: [String: String]

  /// Prepares the export of a file.
  ///
  /// - Parameter match: the network it is of, if that is known.
  public init(_ file: WeightsFile, _ match: ArchitectureMatch?) {
    self.file = file
    var metadata = file.metadata
    // What Hugging Face's tools look for.
    metadata["format"] = "pt"
    metadata["network"] = nil
    metadata["architecture"] = match?.architecture.name ?? file.statedArchitecture
    if let preprocessing = file.preprocessing(for: match) { metadata.merge(preprocessing.metadata()) { $1 } }
    self.metadata = metadata
  }

  /// Writes the file beside its place and renames it, so that a file of that name is whole.
  ///
  /// - Throws: `WeightsError`.
  public func write(to path: String) throws(WeightsError) {
    let partial = path + ".partial"
    do throws(WeightsError) {
      try SafeTensors.write(entries, metadata: metadata, to: partial)
      guard rename(partial, path) == 0 else {
        throw .cannotWrite(path: path, reason: String(cString: strerror(errno)))
      }
    } catch {
      unlink(partial)
      throw error
    }
  }

  private var entries: [SafeTensors.Entry] {
    var result: [SafeTensors.Entry] = []
    for tensor in file.tensors {
      let isStatistic = tensor.name.hasSuffix(".running_mean") || tensor.name.hasSuffix(".running_var")
      // What our filter losses remember is of use to their training alone, and no module of PyTorch has it.
      if isOurs && tensor.type == .float64 && !isStatistic { continue }
      result.append(tensor.type == .float64 ? Self.floats(tensor) : Self.unchanged(tensor))
      // Strict loading wants PyTorch's count of batches, too; nothing depends on it in evaluation.
      let layer = tensor.name.dropLast("running_var".count)
      if tensor.name.hasSuffix(".running_var"), file[layer + "num_batches_tracked"] == nil {
        result.append(Self.zero(layer + "num_batches_tracked"))
      }
    }
    return result
  }

  private var isOurs: Bool { file.metadata["format"] == "icnn" }

  private static func zero(_ name: String) -> SafeTensors.Entry {
    SafeTensors.Entry(name, .int64, shape: []) { $0.initializeMemory(as: UInt8.self, repeating: 0) }
  }

  private static func unchanged(_ tensor: StoredTensor) -> SafeTensors.Entry {
    SafeTensors.Entry(tensor.name, tensor.type, shape: tensor.shape) { (bytes) throws(WeightsError) in
      bytes.copyBytes(from: try tensor.contiguousBytes())
    }
  }

  private static func floats(_ tensor: StoredTensor) -> SafeTensors.Entry {
    SafeTensors.Entry(tensor.name, .float32, shape: tensor.shape) { (bytes) throws(WeightsError) in
      let values = try tensor.floats()
      values.withUnsafeBytes { (source: UnsafeRawBufferPointer) in bytes.copyMemory(from: source) }
    }
  }
}
