import Datasets
import Foundation
import Networks
import Tensors

/// Class probabilities of single images.
public final class Predictor {
  /// One class.
  public struct ClassProbability: Codable, Sendable {
    /// Its name.
    public let className: String
    /// 0...1; softmax over the classes, or for the logistic loss each class's own.
    public let probability: Double
    /// What the network put out.
    public let logit: Double

    enum CodingKeys: String, CodingKey {
      case className = "class"
      case probability, logit
    }
  }

  /// One image.
  public struct Prediction: Codable, Sendable {
    /// Path of the image.
    public let image: String
    /// The most probable class.
    public let predicted: String
    /// All classes, in the order of the network's outputs.
    public let probabilities: [ClassProbability]

    enum CodingKeys: String, CodingKey {
      case image
      case predicted = "class"
      case probabilities
    }
  }

  private let trained: TrainedNetwork
  private let reader: ImageReader
  /// The last image as the network sees it, [1, 3, H, W], interleaved.
  public let input: Tensor
  /// Its extent in the file, in pixels.
  public var extent: (width: Int, height: Int) { reader.extent }

  /// A predictor with the preprocessing that the network was trained with.
  public init(_ trained: TrainedNetwork) {
    self.trained = trained
    let size = trained.state.preprocessing.imageSize
    reader = ImageReader(
      trained.state.preprocessing, Augmentation(cropMargin: Float(trained.state.configuration.cropMargin)))
    input = Tensor(Shape(batch: 1, channels: 3, height: size, width: size), .interleaved)
  }

  /// Looks at one JPEG or PNG file.
  ///
  /// - Throws: `DatasetError` if it is missing or unreadable.
  public func predict(_ path: String) throws -> Prediction {
    try reader.read(path, into: input)
    trained.context.globalBatchSize = 1
    trained.context.sampleKeys = [0]
    let tensor = try trained.network.forward(input, trained.context)
    let logits = (0..<trained.network.outputs).map { Double(tensor.pointer[$0]) }
    let names = trained.state.classNames
    let probabilities: [Double]
    let isLogistic = trained.state.configuration.loss == .logistic
    if isLogistic {
      let own = logits.map { 1 / (1 + exp(-$0)) }
      probabilities = own.count == 1 ? [own[0], 1 - own[0]] : own
    } else {
      let highest = logits.max() ?? 0
      let exponentials = logits.map { exp($0 - highest) }
      let sum = exponentials.reduce(0, +)
      probabilities = exponentials.map { $0 / sum }
    }
    let classes = names.enumerated().map { index, name in
      ClassProbability(
        className: name, probability: probabilities[index],
        logit: logits.count == 1 ? (index == 0 ? logits[0] : -logits[0]) : logits[index])
    }
    return Prediction(
      image: path, predicted: names[Evaluator.prediction(tensor.pointer, trained.network.outputs)],
      probabilities: classes)
  }
}
