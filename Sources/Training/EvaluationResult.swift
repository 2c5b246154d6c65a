/// What a network does on one split, summed over all ranks.
public struct EvaluationResult: Codable, Sendable, Equatable {
  /// Images looked at.
  public let imageCount: Int
  /// Mean loss.
  public let loss: Double
  /// Share of images whose class is the one with the highest logit; single-category: whose sign is right.
  public let accuracy: Double
  /// Share of right signs over all images and outputs: the paper's accuracy for the logistic loss.
  public let binaryAccuracy: Double
  /// Rows: true class, columns: predicted class, in the order of `classNames`.
  public let confusion: [[Int]]
  /// Names of the classes.
  public let classNames: [String]

  enum CodingKeys: String, CodingKey {
    case imageCount = "images"
    case loss, accuracy
    case binaryAccuracy = "binary_accuracy"
    case confusion
    case classNames = "classes"
  }

  /// Accuracy within each true class; nil where the split has no image of it.
  public var classAccuracies: [Double?] {
    confusion.enumerated().map { index, row in
      let total = row.reduce(0, +)
      return total == 0 ? nil : Double(row[index]) / Double(total)
    }
  }
}
