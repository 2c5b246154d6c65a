/// What a filter answered to on one image, in pixels: its image-resolution receptive field (Zhou et al., "Object detectors
/// emerge in deep scene CNNs", ICLR 2015), as the figures of interpretable CNNs draw it.
///
/// The theoretical receptive field is a square of most of the image; what a unit really uses is far smaller. The map is
/// enlarged to the input by bilinear interpolation, and the pixels above a threshold stay. The threshold is one for all
/// images of the filter, a quantile of its activations (`FilterRecords.threshold`): Zhou et al. and Bau et al. (CVPR 2017)
/// keep the top 0.5 %, the authors' drawing code the top 0.3 % (`tailProbability` of the records).
public struct ImageResolutionField: Sendable, Equatable {
  /// Side of the input, in pixels.
  public let side: Int
  /// Pixels that belong to it, [side, side] row-major.
  public let pixels: [Bool]
  /// Their number.
  public let area: Int

  /// - Parameters:
  ///   - map: of the filter on the image, [height, width] row-major.
  ///   - side: of the network's input, in pixels.
  public init(map: [Float], height: Int, width: Int, side: Int, above threshold: Float) {
    precondition(
      map.count == height * width, "ImageResolutionField: \(map.count) values for a map of \(height)×\(width)"
    )
    self.side = side
    var pixels = [Bool](repeating: false, count: side * side)
    BilinearEnlargement(height: height, width: width, side: side).forEachPixel({ Double(map[$0]) }) {
      pixels[$0] = $1 > Double(threshold)
    }
    self.pixels = pixels
    area = pixels.count { $0 }
  }

  /// Diameter of the disc with the same area, in pixels: what to compare with the theoretical size.
  public var equivalentDiameter: Double { 2 * (Double(area) / .pi).squareRoot() }

  /// How large the receptive field of a filter really is: the mean diameter over its strongest images, leaving out those
  /// where nothing exceeds the threshold; nil if there is none.
  public static func meanDiameter(_ fields: [ImageResolutionField]) -> Double? {
    let diameters = fields.filter { $0.area > 0 }.map(\.equivalentDiameter)
    return diameters.isEmpty ? nil : diameters.reduce(0, +) / Double(diameters.count)
  }
}
