/// What a training step holds in memory on one rank, as planned, in bytes.
public struct MemorySummary: Sendable {
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

  /// All that is held at once.
  public var totalBytes: Int { parameterBytes + activationBytes + workspaceBytes + keptBytes }
}

extension MemorySummary: CustomStringConvertible {
  /// One line, in MB of 10⁶ bytes.
  public var description: String {
    func megabytes(_ bytes: Int) -> String { "\((bytes + 500_000) / 1_000_000) MB" }
    let again = recomputedBytes > 0 ? ", \(megabytes(recomputedBytes)) computed twice" : ""
    return "planned memory \(megabytes(totalBytes)): parameters, gradients and momentum "
      + "\(megabytes(parameterBytes)), activations and their gradients \(megabytes(activationBytes)) "
      + "(unshared \(megabytes(unsharedActivationBytes))\(again)), workspace \(megabytes(workspaceBytes)), "
      + "kept by layers \(megabytes(keptBytes))"
  }
}
