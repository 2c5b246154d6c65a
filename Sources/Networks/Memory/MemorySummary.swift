/// What a training step holds in memory on one rank, as planned, in bytes.
public struct MemorySummary: Codable, Sendable {
  /// Parameters, gradients and the optimiser's velocities.
  public var parameterBytes: Int
  /// Activations and their gradients.
  public var activationBytes: Int
  /// The same if none lay where another had lain.
  public var unsharedActivationBytes: Int
  /// Scratch memory of the operations.
  public var workspaceBytes: Int
  /// What layers keep from forward to backward beside their outputs.
  public var keptBytes: Int
  /// Activations that are computed a second time.
  public var recomputedBytes: Int

  enum CodingKeys: String, CodingKey {
    case parameterBytes = "parameter_bytes"
    case activationBytes = "activation_bytes"
    case unsharedActivationBytes = "unshared_activation_bytes"
    case workspaceBytes = "workspace_bytes"
    case keptBytes = "kept_bytes"
    case recomputedBytes = "recomputed_bytes"
  }

  /// All that is held at once.
  public var totalBytes: Int { parameterBytes + activationBytes + workspaceBytes + keptBytes }
}

extension MemorySummary: CustomStringConvertible {
  /// One line, in MB of 10⁶ bytes.
  public var description: String {
    func megabytes(_ bytes: Int) -> String { "\((bytes + 500_000) / 1_000_000) MB" }
    let again = recomputedBytes > 0 ? ", \(megabytes(recomputedBytes)) computed twice" : ""
    return "planned memory per rank \(megabytes(totalBytes)): parameters, gradients and momentum "
      + "\(megabytes(parameterBytes)), activations and their gradients \(megabytes(activationBytes)) "
      + "(unshared \(megabytes(unsharedActivationBytes))\(again)), workspace \(megabytes(workspaceBytes)), "
      + "kept by layers \(megabytes(keptBytes))"
  }
}
