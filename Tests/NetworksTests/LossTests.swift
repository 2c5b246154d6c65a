import Foundation
import Networks
import Tensors
import TestSupport
import Testing

/// `SoftmaxCrossEntropy` and `Logistic`.
@Suite struct LossTests {
  private func tensor(_ rows: [[Float]]) -> Tensor {
    let result = Tensor(Shape(batch: rows.count, features: rows[0].count), .flat)
    result.fill(from: rows.flatMap { $0 })
    return result
  }

  private func context(categories: [Int32] = [], signs: [Float] = [], globalBatchSize: Int) -> StepContext {
    let context = StepContext()
    context.categories = categories
    context.signs = signs
    context.globalBatchSize = globalBatchSize
    return context
  }

  @Test("softmax: value, counts and gradient by hand")
  func softmax() {
    let logits = tensor([[log(1), log(2), log(5)], [0, 0, 0]])
    let context = context(categories: [2, 1], globalBatchSize: 4)
    let result = SoftmaxCrossEntropy().evaluate(logits, context)
    #expect(abs(result.sum - (log(8.0 / 5) + log(3.0))) < 1e-6)
    // In the second image all logits are equal: the first wins, which is not the category.
    #expect(result.correctCount == 1)
    // softmax − [l = y], over a global batch of 4.
    let third = 1.0 / 3
    let beforeMean: [Double] = [0.125, 0.25, 0.625 - 1, third, third - 1, third]
    let expected = beforeMean.map { $0 / 4 }
    #expect(relativeDifference(result.gradient!.toArray(), expected) < 1e-6)
    let scaled = SoftmaxCrossEntropy(gradientFactor: 3).evaluate(logits, context)
    #expect(scaled.sum == result.sum)
    #expect(relativeDifference(scaled.gradient!.toArray(), expected.map { $0 * 3 }) < 1e-6)
  }

  @Test("logistic: value, counts and gradient by hand")
  func logistic() {
    let logits = tensor([[log(3), -log(3)], [0, 1]])
    let result = Logistic().evaluate(logits, context(signs: [1, -1, -1, 1], globalBatchSize: 2))
    #expect(abs(result.sum - (2 * log(4.0 / 3) + log(2.0) + log1p(exp(-1.0)))) < 1e-6)
    // A logit of exactly 0 has no sign and counts as wrong; the second image's largest logit is its +1.
    #expect(result.correctCount == 2 && result.wrongSignCount == 1)
    let beforeMean: [Double] = [-0.25, 0.25, 0.5, -1 / (1 + exp(1.0))]
    let expected = beforeMean.map { $0 / 2 }
    #expect(relativeDifference(result.gradient!.toArray(), expected) < 1e-6)
    let single = Logistic().evaluate(
      tensor([[2], [-1], [0]]), context(signs: [1, 1, -1], globalBatchSize: 3))
    #expect(single.correctCount == 1 && single.wrongSignCount == 2)
  }

  @Test("gradients match finite differences", arguments: [false, true])
  func finiteDifferences(isLogistic: Bool) {
    let values = randomValues(12, seed: 3, -2, 2)
    let context = context(
      categories: [0, 3, 1], signs: (0..<12).map { $0 % 3 == 0 ? 1 : -1 }, globalBatchSize: 1 + 2)
    let loss: any Loss = isLogistic ? Logistic() : SoftmaxCrossEntropy()
    func evaluate(_ values: [Float]) -> LossEvaluation {
      let logits = Tensor(Shape(batch: 3, features: 4), .flat)
      logits.fill(from: values)
      return loss.evaluate(logits, context)
    }
    let gradient = evaluate(values).gradient!.toArray()
    for index in values.indices {
      var moved = values
      moved[index] = values[index] + 1e-3
      let above = evaluate(moved).sum
      moved[index] = values[index] - 1e-3
      let difference = (above - evaluate(moved).sum) / 2e-3 / 3
      #expect(abs(difference - Double(gradient[index])) < 1e-4)
    }
  }

  @Test("huge logits neither overflow nor lose their value")
  func stability() {
    let softmax = SoftmaxCrossEntropy().evaluate(
      tensor([[1e4, -1e4], [-3e38, 3e38]]), context(categories: [1, 1], globalBatchSize: 2))
    #expect(abs(softmax.sum - 2e4) < 1e-6)
    #expect(softmax.gradient!.toArray() == [0.5, -0.5, 0, 0])
    let logistic = Logistic().evaluate(
      tensor([[1e4], [-1e4]]), context(signs: [-1, -1], globalBatchSize: 2))
    #expect(abs(logistic.sum - 1e4) < 1e-6)
    #expect(logistic.gradient!.toArray() == [0.5, 0])
  }

  @Test("a logit that is not a number makes the sum one, and no correct prediction", arguments: [0, 1])
  func notANumber(position: Int) {
    var row: [Float] = [1, 0]
    row[position] = .nan
    let context = context(categories: [0], signs: [1, -1], globalBatchSize: 1)
    let softmax = SoftmaxCrossEntropy().evaluate(tensor([row]), context)
    #expect(softmax.sum.isNaN && softmax.correctCount == 0)
    #expect(Logistic().evaluate(tensor([row]), context).sum.isNaN)
  }

  @Test("no local images, and no gradient in evaluation")
  func empty() {
    let context = context(globalBatchSize: 8)
    let none = Tensor(Shape(batch: 0, features: 4), .flat)
    for loss in [SoftmaxCrossEntropy(), Logistic()] as [any Loss] {
      let result = loss.evaluate(none, context)
      #expect(result.sum == 0 && result.correctCount == 0 && result.gradient!.shape.batch == 0)
    }
    context.mode = .evaluation
    #expect(SoftmaxCrossEntropy().evaluate(none, context).gradient == nil)
  }
}
