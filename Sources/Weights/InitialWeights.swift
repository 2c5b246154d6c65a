import Networks

/// Weights of another run or program, loaded where name and shape match.
public enum InitialWeights {
  /// What was loaded and what was not.
  public struct Report: CustomStringConvertible {
    /// The file.
    public let path: String
    /// Arrays of the network, running statistics among them, that the file had.
    public let loaded: Int
    /// Parameters of the network that keep their initialisation.
    public let fresh: [String]
    /// Arrays of the file that the network has no place for.
    public let unused: [String]

    /// One line.
    public var description: String {
      func list(_ names: [String]) -> String {
        names.prefix(6).map(quoted).joined(separator: ", ") + (names.count > 6 ? ", …" : "")
      }
      return "loaded \(loaded) arrays from \(path)"
        + (fresh.isEmpty ? "" : "; fresh: \(list(fresh))")
        + (unused.isEmpty ? "" : "; unused: \(list(unused))")
    }
  }

  /// Loads parameters and running statistics where name and shape match. New layers of an interpretable network are not
  /// in the files of ordinary ones and keep their initialisation, as does a classifier of other classes.
  ///
  /// - Throws: `WeightsError`: `.mismatch` if nothing in the file fits, `.damaged` for NaN and infinity. The network is
  ///   then partly loaded.
  public static func load(_ file: WeightsFile, into network: Network) throws(WeightsError) -> Report {
    var loaded: Set<String> = []
    for parameter in network.store.parameters {
      guard let tensor = file[parameter.name], tensor.shape == parameter.shape, tensor.type.isFloatingPoint
      else { continue }
      let values = try tensor.floats()
      try requireFinite(values, tensor, file)
      parameter.importValues(values)
      loaded.insert(parameter.name)
    }
    for state in network.states {
      guard let tensor = file[state.name], tensor.shape == state.shape, tensor.type.isFloatingPoint else {
        continue
      }
      let values = try tensor.doubles()
      try requireFinite(values, tensor, file)
      guard !state.name.hasSuffix("running_var") || values.allSatisfy({ $0 >= 0 }) else {
        throw .damaged(path: file.path, reason: "'\(quoted(tensor.name))' holds a negative variance")
      }
      _ = state.values.update(fromContentsOf: values)
      loaded.insert(state.name)
    }
    guard !loaded.isEmpty else {
      throw .mismatch(
        path: file.path, reason: "none of its \(file.tensors.count) arrays fits \(network.name)")
    }
    return Report(
      path: file.path, loaded: loaded.count,
      fresh: network.store.parameters.map(\.name).filter { !loaded.contains($0) },
      // PyTorch counts the batches of its batch norms; nobody reads that.
      unused: file.tensors.map(\.name).filter {
        !loaded.contains($0) && !$0.hasSuffix(".num_batches_tracked")
      }
      .sorted())
  }

  private static func requireFinite<Value: BinaryFloatingPoint>(
    _ values: [Value], _ tensor: StoredTensor, _ file: WeightsFile
  ) throws(WeightsError) {
    // x·0 is NaN exactly for NaN and infinity.
    guard values.reduce(0, { $0 + $1 * 0 }) == 0 else {
      throw .damaged(path: file.path, reason: "'\(quoted(tensor.name))' holds NaN or infinity")
    }
  }
}
