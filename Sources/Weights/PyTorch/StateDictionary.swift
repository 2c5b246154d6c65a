/// Finds the tensors of a network in what a file of PyTorch holds: a state dictionary, or a training checkpoint with one
/// inside.
struct StateDictionary {
  /// Where training scripts keep it.
  static let wrappers = ["state_dict", "model_state_dict", "model", "net", "network"]
  /// What wrappers put before every name: DataParallel and DistributedDataParallel, `torch.compile`.
  static let prefixes = ["module.", "_orig_mod."]

  private let arena: PickleArena
  private let path: String

  init(_ arena: PickleArena, _ path: String) {
    self.arena = arena
    self.path = path
  }

  /// The tensors in the order of the dictionary, without prefixes that all names have.
  ///
  /// - Parameter open: finds the numbers of a storage.
  /// - Throws: `WeightsError`, `.unsupported` if there is no dictionary of tensors.
  func tensors(
    _ root: PickleValue, open: (PickleArena.Storage) throws(WeightsError) -> any TensorStorage
  ) throws(WeightsError) -> [StoredTensor] {
    guard var dictionary = index(root) else {
      throw .unsupported(path: path, reason: "it holds \(root.kind), not a dict of tensors")
    }
    // A dictionary may hold itself: no deeper than scripts nest.
    for _ in 0..<4 {
      guard
        let inner = Self.wrappers.lazy.compactMap({ arena.value($0, in: dictionary).flatMap(index) }).first
      else { break }
      dictionary = inner
    }
    var result: [StoredTensor] = []
    var names: Set<String> = []
    for (key, value) in arena.dictionaries[dictionary] {
      guard case .string(let name) = key, case .tensor(let index) = value else { continue }
      guard names.insert(name).inserted else {
        throw .damaged(path: path, reason: "two tensors are named '\(quoted(name))'")
      }
      result.append(try tensor(name, arena.tensors[index], open))
    }
    guard !result.isEmpty else { throw .unsupported(path: path, reason: "it holds no dict of tensors") }
    return Self.withoutPrefixes(result)
  }

  private func index(_ value: PickleValue) -> Int? {
    if case .dictionary(let index) = value { index } else { nil }
  }

  private func tensor(
    _ name: String, _ tensor: PickleArena.Tensor,
    _ open: (PickleArena.Storage) throws(WeightsError) -> any TensorStorage
  ) throws(WeightsError) -> StoredTensor {
    let storage = arena.storages[tensor.storage]
    guard
      let result = StoredTensor(
        name, storage.type, shape: tensor.shape, strides: tensor.strides, offset: tensor.offset,
        try open(storage), path: path)
    else {
      throw .damaged(
        path: path,
        reason: "'\(quoted(name))' of shape \(tensor.shape) goes beyond its \(storage.elements.count) values")
    }
    return result
  }

  private static func withoutPrefixes(_ tensors: [StoredTensor]) -> [StoredTensor] {
    var result = tensors
    while let prefix = prefixes.first(where: { prefix in result.allSatisfy { $0.name.hasPrefix(prefix) } }) {
      for index in result.indices { result[index].name.removeFirst(prefix.count) }
    }
    return result
  }
}
