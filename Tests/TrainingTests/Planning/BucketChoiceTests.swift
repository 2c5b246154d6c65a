import Communication
import Networks
import Testing

@testable import Training

@Suite("BucketChoice") struct BucketChoiceTests {
  private static func choices(_ path: ReductionPath, ranks: Int) throws -> [BucketChoice] {
    var configuration = SmallRun.configuration(steps: 1)
    configuration.reduction = path
    configuration.bucketSize = .automatic
    let (resolved, architecture) = try configuration.resolved()
    return try InProcessGroup.run(size: ranks) { communicator in
      try BucketChoice(resolved, architecture, classes: 3, communicator, Console(isSpeaking: false))
    }
  }

  @Test("measured and the same on all ranks where buckets travel")
  func measured() throws {
    let choices = try Self.choices(.plain, ranks: 3)
    #expect(choices[0].reason.contains("Mbit/s measured"))
    #expect((ScalePlan.bucketSizes + [BucketSize.usualMebibytes]).contains(choices[0].mebibytes))
    #expect(choices.allSatisfy { $0.mebibytes == choices[0].mebibytes })
  }

  @Test("the usual size is left for a gain beyond the error of predictions")
  func gain() {
    #expect(BucketChoice.mebibytes(best: 0.5, bestStep: 94, usualStep: 100) == 0.5)
    #expect(BucketChoice.mebibytes(best: 0.5, bestStep: 96, usualStep: 100) == BucketSize.usualMebibytes)
    #expect(BucketChoice.mebibytes(best: 4, bestStep: 100, usualStep: 100) == BucketSize.usualMebibytes)
  }

  @Test("nothing is measured where none travels")
  func unneeded() throws {
    for choice in try Self.choices(.plain, ranks: 1) + Self.choices(.automatic, ranks: 2) {
      #expect(
        choice.mebibytes == BucketSize.usualMebibytes && choice.reason == "no bucket travels over a network")
    }
  }

  @Test("a run that chooses says what it chose, and one that is resumed keeps the size it had")
  func runs() throws {
    try SmallRun.withFolder { folder in
      var configuration = SmallRun.configuration(steps: 2)
      configuration.reduction = .plain
      configuration.bucketSize = .automatic
      let chosen = try SmallRun.train(configuration, ranks: 2, output: folder + "/chosen")
      guard case .mebibytes(let size)? = chosen.state?.configuration.bucketSize else {
        Issue.record("the checkpoint does not say which size was chosen")
        return
      }
      #expect(size > 0)

      // No choice comes to 0.375.
      let given = folder + "/given"
      configuration.bucketSize = .mebibytes(0.375)
      configuration.checkpointEverySteps = 1
      let whole = try SmallRun.train(configuration, ranks: 2, output: given)
      try SmallRun.rewind(given, to: 1)
      configuration.bucketSize = .automatic
      let resumed = try SmallRun.train(configuration, ranks: 2, output: given, resume: true)
      #expect(resumed.state?.configuration.bucketSize == .mebibytes(0.375))
      #expect(resumed.files["model.safetensors"] == whole.files["model.safetensors"])
    }
  }
}
