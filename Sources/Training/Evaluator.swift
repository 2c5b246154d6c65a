import Communication
import Datasets
import Networks
import Tensors

/// Runs a network over a split, shared among the ranks; sums travel, never means.
public final class Evaluator {
  private let network: Network
  private let loss: any Loss
  private let context: StepContext
  private let communicator: any Communicator
  private let classNames: [String]

  /// An evaluator of `network`; it sets the context to evaluation while it runs.
  public init(
    _ network: Network, _ loss: any Loss, _ context: StepContext, _ communicator: any Communicator,
    classNames: [String]
  ) {
    self.network = network
    self.loss = loss
    self.context = context
    self.communicator = communicator
    self.classNames = classNames
  }

  /// Evaluates every batch that the loader still has. Same result on all ranks.
  public func run(_ loader: BatchLoader, progress: (_ images: Int) -> Void = { _ in }) throws
    -> EvaluationResult
  {
    let classes = classNames.count
    // Image count, loss sum, right signs, then the confusion matrix.
    var sums = [Double](repeating: 0, count: 3 + classes * classes)
    while let batch = try loader.next() {
      context.begin(batch, .evaluation)
      let logits = try network.forward(batch.images, context)
      let result = loss.evaluate(logits, context)
      sums[0] += Double(batch.count)
      sums[1] += result.sum
      for image in 0..<batch.count {
        let row = logits.pointer + image * network.outputs
        sums[3 + Int(batch.categories[image]) * classes + Self.prediction(row, network.outputs)] += 1
        for output in 0..<network.outputs
        where (row[output] >= 0) == (batch.signs[image * network.outputs + output] > 0) {
          sums[2] += 1
        }
      }
      loader.recycle(batch)
      progress(Int(sums[0]))
    }
    sums = try communicator.allReduce(sums, .sum)
    let images = max(sums[0], 1)
    let confusion = (0..<classes).map { row in
      (0..<classes).map { Int(sums[3 + row * classes + $0]) }
    }
    return EvaluationResult(
      imageCount: Int(sums[0]), loss: sums[1] / images,
      accuracy: Double(confusion.indices.reduce(0) { $0 + confusion[$1][$1] }) / images,
      binaryAccuracy: sums[2] / (images * Double(network.outputs)), confusion: confusion,
      classNames: classNames)
  }

  /// The predicted class: the first highest logit, or for a single output 0 (the category) if it is not negative.
  public static func prediction(_ logits: UnsafePointer<Float>, _ outputs: Int) -> Int {
    if outputs == 1 { return logits[0] >= 0 ? 0 : 1 }
    var best = 0
    for output in 1..<outputs where logits[output] > logits[best] { best = output }
    return best
  }
}
