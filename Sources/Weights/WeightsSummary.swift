import Datasets
import Foundation

/// What `icnn weights show` tells of a file.
public struct WeightsSummary: Encodable {
  /// One array.
  public struct Array: Encodable {
    let name: String
    let type: String
    let shape: [Int]
  }

  /// How images become inputs: (pixel − mean) · scale with pixels in 0...255, RGB.
  public struct Inputs: Encodable {
    /// Side of the input, in pixels.
    public let imageSize: Int
    /// Of each channel; of a mean image the mean over its pixels.
    let mean: [Float]
    /// pixel, channel or none.
    let meanOf: String
    let scale: [Float]

    /// What a checkpoint or a file says; a mean image is told by its mean.
    public init(_ known: Preprocessing) {
      imageSize = known.imageSize
      mean = known.meanKind == .pixel ? known.adapted(to: known.imageSize + 1).mean : known.mean
      meanOf = known.meanKind.rawValue
      scale = known.scale
    }

    /// "(pixel − [124, 117, 104]) · [0.0171, 0.0175, 0.0174]".
    public var formula: String {
      let subtracted =
        meanOf == "none" ? "" : " − \(Self.list(mean))\(meanOf == "pixel" ? " (mean image)" : "")"
      return "(pixel\(subtracted)) · \(Self.list(scale))"
    }

    private static func list(_ values: [Float]) -> String {
      "[" + values.map { String(format: "%.6g", $0) }.joined(separator: ", ") + "]"
    }
  }

  let path: String
  let format: String
  /// Networks whose shapes fit.
  let architectures: [String]
  /// Outputs of hidden layers that are not the published ones.
  let widths: [String: Int]
  let outputs: Int?
  let preprocessing: Inputs?
  let values: Int
  let arrays: [Array]

  /// Looks at a file; no values are read.
  public init(_ file: WeightsFile) {
    let matches = ArchitectureMatch.all(for: file)
    path = file.path
    format = file.format.rawValue
    architectures = matches.map(\.architecture.name)
    widths = matches.first?.widths ?? [:]
    outputs = matches.first?.outputs
    preprocessing = file.preprocessing(for: matches.first).map(Inputs.init)
    values = file.valueCount
    arrays = file.tensors.map { Array(name: $0.name, type: $0.type.rawValue, shape: $0.shape) }
  }

  /// Everything, for people.
  public var text: String {
    let network =
      architectures.isEmpty
      ? "unknown" : architectures.joined(separator: " or ") + (widths.isEmpty ? "" : ", of other widths")
    let inputs =
      preprocessing.map { known in
        "\(known.imageSize) × \(known.imageSize) pixels, RGB in 0…255: \(known.formula)"
      } ?? "unknown"
    let lines = [
      "file          \(path)", "format        \(format)", "network       \(network)",
      "outputs       \(outputs.map(String.init) ?? "unknown")", "inputs        \(inputs)",
      "values        \(values)", "", "arrays",
    ]
    let longest = arrays.map(\.name.count).max() ?? 0
    return
      (lines
      + arrays.map {
        let name = quoted($0.name)
        let padding = String(repeating: " ", count: max(longest - name.count, 0) + 2)
        return "  \(name)\(padding)\($0.type.padding(toLength: 6, withPad: " ", startingAt: 0))\($0.shape)"
      }).joined(separator: "\n")
  }
}
