/// On how many images a filter's region covers an object part (Zhang et al., CVPR 2018, section 5.2, after Bau et al.,
/// CVPR 2017).
///
/// The valid cells of a filter's maps are those above T_f, the top `tailProbability` of all its activations
/// (`FilterRecords.threshold`). Enlarged to the input they are its region. Filter and part are associated on an image
/// if the intersection over union of region and part exceeds `overlapThreshold`. P_{f,k} is the share of associated images
/// among those that show part k, P_f = max_k P_{f,k}, the reported figure the mean of P_f over the filters.
public struct PartInterpretability: Codable, Sendable, Equatable {
  /// How valid cells become pixels.
  public enum Upscaling: String, Codable, Sendable, CaseIterable {
    /// Each valid cell becomes the pixels that are nearest to it: threshold, then enlarge.
    case nearest
    /// The map is enlarged by bilinear interpolation and thresholded then.
    case bilinear
  }

  /// Nearest unless told otherwise.
  public var upscaling = Upscaling.nearest
  /// Overlaps above it are associations; 0.2 in the paper.
  public var overlapThreshold = 0.2
  /// A filter covers its best part if it is associated with it on at least this share of the images.
  public static let coverage = 0.5

  /// The paper's definition.
  public init(upscaling: Upscaling = .nearest, overlapThreshold: Double = 0.2) {
    precondition(
      (0..<1).contains(overlapThreshold),
      "PartInterpretability: overlap threshold \(overlapThreshold) is not in 0..<1")
    self.upscaling = upscaling
    self.overlapThreshold = overlapThreshold
  }

  /// P_{f,k}: the share of associated images; nil if no image shows the part.
  public func rate(associated: Int, images: Int) -> Double? {
    images == 0 ? nil : Double(associated) / Double(images)
  }

  /// P_f and its part: the first with the highest rate; nil if no part has one.
  public func best(_ rates: [Double?]) -> (part: Int, rate: Double)? {
    var best: (part: Int, rate: Double)?
    for (part, rate) in rates.enumerated() {
      guard let rate else { continue }
      if best.map({ rate > $0.rate }) ?? true { best = (part, rate) }
    }
    return best
  }
}
