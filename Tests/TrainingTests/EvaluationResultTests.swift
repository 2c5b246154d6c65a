import Testing

@testable import Training

@Suite("EvaluationResult") struct EvaluationResultTests {
  @Test("accuracy within classes; none for a class without images")
  func classAccuracies() {
    let result = EvaluationResult(
      imageCount: 8, loss: 1, accuracy: 0.5, binaryAccuracy: 0.5,
      confusion: [[3, 1, 0], [0, 0, 0], [1, 2, 1]], classNames: ["a", "b", "c"])
    #expect(result.classAccuracies == [0.75, nil, 0.25])
  }
}
