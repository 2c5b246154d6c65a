import Networks

/// A network whose layers have the shapes of a file's tensors, perhaps narrower or wider than it was published.
public struct ArchitectureMatch {
  /// The network.
  public let architecture: Architecture
  /// Output channels of hidden layers by name, where they are not the published ones.
  public let widths: [String: Int]
  /// Number of logits; nil if the file's last layer does not fit.
  public let outputs: Int?

  /// All networks that fit the file: all of their convolutions are in it, with their kernels, and each reads as many
  /// channels as the one before makes. What the file says of itself narrows the choice.
  public static func all(for file: WeightsFile) -> [ArchitectureMatch] {
    let matches = Architecture.all.compactMap { ArchitectureMatch($0, file) }
    let stated = matches.filter { $0.architecture.name == file.statedArchitecture }
    return stated.isEmpty ? matches : stated
  }

  /// The only network that fits the file; nil if none does, or several.
  public static func only(for file: WeightsFile) -> ArchitectureMatch? {
    let matches = all(for: file)
    return matches.count == 1 ? matches[0] : nil
  }

  /// The match of one network, or nil if the file is of another.
  public init?(_ architecture: Architecture, _ file: WeightsFile) {
    let published = Self.layers(architecture, widths: [:], outputs: 2)
    let weights = published.flatMap(\.parameters).filter { $0.shape.count >= 2 }
    guard let logits = weights.last else { return nil }
    var widths: [String: Int] = [:]
    for weight in weights where weight.name != logits.name {
      let isConvolution = weight.shape.count == 4
      guard let shape = file[weight.name]?.shape, shape.count == weight.shape.count,
        (1...Self.widest).contains(shape[0])
      else {
        // A file may end below the classifier.
        if isConvolution { return nil }
        continue
      }
      if isConvolution && shape[2...] != weight.shape[2...] { return nil }
      if shape[0] != weight.shape[0] { widths[Self.layerName(weight.name)] = shape[0] }
    }
    guard architecture.indivisibleLayer(widths: widths) == nil else { return nil }

    let outputs = file[logits.name]?.shape.first.flatMap { (1...Self.widest).contains($0) ? $0 : nil }
    let built = Self.layers(architecture, widths: widths, outputs: outputs ?? 2).flatMap(\.parameters)
    guard built.allSatisfy({ $0.shape.count != 4 || file[$0.name]?.shape == $0.shape }) else { return nil }
    self.architecture = architecture
    self.widths = widths
    self.outputs = built.last { $0.shape.count == 2 }.flatMap {
      file[$0.name]?.shape == $0.shape ? outputs : nil
    }
  }

  /// The widest layer of a published network has 4096 channels.
  private static let widest = 65_536

  private static func layers(_ architecture: Architecture, widths: [String: Int], outputs: Int) -> [any Layer]
  {
    var options = NetworkOptions(outputs: outputs)
    options.widths = widths
    return architecture.layers(options).layers
  }

  private static func layerName(_ weight: String) -> String {
    weight.hasSuffix(".weight") ? String(weight.dropLast(".weight".count)) : weight
  }
}
