import Networks

/// Weights of another run or program, loaded where name and shape match.
enum InitialWeights {
  /// What was loaded and what was not.
  struct Report: CustomStringConvertible {
    let path: String
    let loaded: Int
    /// Parameters of the network that keep their initialisation.
    let fresh: [String]
    /// Arrays of the file that the network has no place for.
    let unused: [String]

    var description: String {
      func list(_ names: [String]) -> String {
        names.prefix(6).joined(separator: ", ") + (names.count > 6 ? ", …" : "")
      }
      return "loaded \(loaded) arrays from \(path)"
        + (fresh.isEmpty ? "" : "; fresh: \(list(fresh))")
        + (unused.isEmpty ? "" : "; unused: \(list(unused))")
    }
  }

  /// Loads parameters and running statistics from a safetensors file.
  ///
  /// - Throws: `CheckpointError`; `.mismatch` if nothing in the file fits.
  static func load(_ path: String, into network: Network) throws(CheckpointError) -> Report {
    let reader = try SafeTensors.Reader(path: path)
    var loaded: Set<String> = []
    for parameter in network.store.parameters where reader.tensors[parameter.name]?.shape == parameter.shape {
      parameter.importValues(try reader.floats(parameter.name))
      loaded.insert(parameter.name)
    }
    for state in network.states where reader.tensors[state.name]?.shape == state.shape {
      _ = state.values.update(fromContentsOf: try reader.doubles(state.name))
      loaded.insert(state.name)
    }
    guard !loaded.isEmpty else {
      throw .mismatch(path: path, reason: "none of its \(reader.tensors.count) arrays fits \(network.name)")
    }
    return Report(
      path: path, loaded: loaded.count,
      fresh: network.store.parameters.map(\.name).filter { !loaded.contains($0) },
      unused: reader.tensors.keys.filter { !loaded.contains($0) && !$0.hasPrefix("preprocessing.") }.sorted())
  }
}
