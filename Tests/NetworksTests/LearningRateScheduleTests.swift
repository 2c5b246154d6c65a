import Foundation
import Networks
import Testing

@Suite struct LearningRateScheduleTests {
  private func rates(_ schedule: LearningRateSchedule, epochs: Int, stepsPerEpoch: Int = 3) -> [Double] {
    (0..<epochs * stepsPerEpoch).map {
      schedule.factor(step: $0, stepsPerEpoch: stepsPerEpoch, totalSteps: epochs * stepsPerEpoch)
    }
  }

  @Test("a constant rate")
  func constant() {
    #expect(rates(.constant, epochs: 2) == [1, 1, 1, 1, 1, 1])
  }

  @Test("steps fall at whole epochs")
  func steps() {
    let found = rates(.step(factor: 0.1, epochs: 2), epochs: 5, stepsPerEpoch: 2)
    let expected = [1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01]
    for (a, b) in zip(found, expected) { #expect(abs(a / b - 1) < 1e-12) }
  }

  /// MATLAB's `logspace(-4, -5, 10)` followed by 1e-5, times 30: the authors' AlexNet for one category.
  @Test("log-spaced rates are the authors'")
  func logarithmic() {
    let expected = [
      0.003, 0.002322791048043, 0.001798452750957, 0.001392476650084, 0.001078144099141, 0.0008347678206621,
      0.0006463304070096, 0.00050043016116, 0.0003874648995045, 0.0003, 0.0003, 0.0003,
    ]
    let found = rates(.logarithmic(final: 0.1, epochs: 10), epochs: 12, stepsPerEpoch: 2)
    for (step, factor) in found.enumerated() {
      #expect(abs(0.003 * factor / expected[step / 2] - 1) < 1e-11, "step \(step)")
    }
    #expect(rates(.logarithmic(final: 0.1, epochs: 1), epochs: 2, stepsPerEpoch: 1) == [0.1, 0.1])
  }

  @Test("cosine with warm-up: rises evenly, peaks at 1, ends at its final value")
  func cosine() {
    let found = rates(.cosine(final: 0.01, warmupEpochs: 1), epochs: 4, stepsPerEpoch: 4)
    for (a, b) in zip(found.prefix(5), [0.2, 0.4, 0.6, 0.8, 1]) { #expect(abs(a - b) < 1e-12) }
    // Step 4 is the first of the 12 of the decay, step 15 its end; between them 0.01 + 0.99·(1 + cos(π·k/11))/2.
    #expect(abs(found[7] - (0.01 + 0.99 * 0.5 * (1 + Foundation.cos(Double.pi * 3 / 11)))) < 1e-12)
    #expect(abs(found[15] - 0.01) < 1e-12)
    #expect(found[4...] == found[4...].sorted(by: >)[...])
    let schedule = LearningRateSchedule.cosine(final: 0.01, warmupEpochs: 1)
    #expect(schedule.factor(step: 99, stepsPerEpoch: 4, totalSteps: 16) == 0.01)
    #expect(
      LearningRateSchedule.cosine(final: 0, warmupEpochs: 0).factor(step: 0, stepsPerEpoch: 1, totalSteps: 1)
        == 1)
  }

  @Test(
    "survives coding",
    arguments: [
      LearningRateSchedule.constant, .step(factor: 0.1, epochs: 30), .logarithmic(final: 0.1, epochs: 10),
      .cosine(final: 0, warmupEpochs: 0.5),
    ])
  func coding(_ schedule: LearningRateSchedule) throws {
    let data = try JSONEncoder().encode(schedule)
    #expect(try JSONDecoder().decode(LearningRateSchedule.self, from: data) == schedule)
  }
}
