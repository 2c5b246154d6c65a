/// Why a network's filters cannot be measured. The description reads: what failed – where – what to do.
public enum InterpretabilityError: Error, Sendable, Equatable, CustomStringConvertible {
  /// No layer of that name puts out maps that can be measured.
  case unknownLayer(name: String, known: [String])
  /// The network has no convolution.
  case noMaps(network: String)
  /// A layer below the measured one does not say where its units look.
  case unknownGeometry(layer: String, kind: String)
  /// A map has more cells than a record can name.
  case mapTooLarge(layer: String, height: Int, width: Int)
  /// No image of the split shows a part that was asked for.
  case unknownPart(name: String, known: [String])
  /// A part's mask cannot be used.
  case badMask(path: String, reason: String)
  /// An image cannot be opened to see how large it is.
  case badImage(reason: String)
  /// An activation is not a number.
  case notFinite(layer: String)

  /// The process's exit code (sysexits): 64 wrong usage, 65 bad data, 70 numerical breakdown.
  public var exitCode: Int32 {
    switch self {
    case .unknownLayer, .unknownPart: 64
    case .badMask, .badImage: 65
    case .noMaps, .unknownGeometry, .mapTooLarge, .notFinite: 70
    }
  }

  /// What failed – where (expected, found) – what to do.
  public var description: String {
    switch self {
    case .unknownLayer(let name, let known):
      "no convolution of that name – \(name) (found \(known.joined(separator: ", "))) – choose one of these"
    case .noMaps(let network):
      "the network has no convolution whose filters could be measured – \(network) – use another network"
    case .unknownGeometry(let layer, let kind):
      "the receptive field is unknown beyond a layer – \(layer) (\(kind)) – choose a convolution below it"
    case .mapTooLarge(let layer, let height, let width):
      "the maps are too large – \(layer) (at most \(FilterRecords.mostCells) cells, found \(height)×\(width)) – "
        + "choose a convolution above it"
    case .unknownPart(let name, let known):
      "no image of the split shows the part – \(name) (found "
        + "\(known.isEmpty ? "none" : known.joined(separator: ", "))) – choose among these with --parts"
    case .badMask(let path, let reason):
      "a part's mask cannot be used – \(path) (\(reason)) – mend or remove it in annotations.jsonl"
    case .badImage(let reason):
      "an image with annotated parts cannot be opened – \(reason) – mend or remove it"
    case .notFinite(let layer):
      "activations are not finite – \(layer) – use an earlier checkpoint"
    }
  }
}
