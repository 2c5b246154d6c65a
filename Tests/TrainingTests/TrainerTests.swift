import Communication
import Foundation
import Testing

@testable import Training

@Suite("Trainer") struct TrainerTests {
  private static let steps = 12

  @Test("N ranks give the losses and categories of one", arguments: [2, 3, 4])
  func ranksEqualOne(ranks: Int) throws {
    // At this rate the steps of the scaled form do not magnify the last bits of direct sums (docs/adr/0007-drift-between-ranks.md).
    var configuration = SmallRun.configuration(steps: Self.steps)
    configuration.learningRate = 1e-4
    configuration.filterGradientShare = 0.5
    configuration.convolution = .exact
    let (one, many) = try SmallRun.withFolder { folder in
      (
        try SmallRun.train(configuration, ranks: 1, output: folder + "/one"),
        try SmallRun.train(configuration, ranks: ranks, output: folder + "/many")
      )
    }
    try #require(one.losses.count == Self.steps && many.losses.count == Self.steps)
    #expect(abs(one.losses[0] - many.losses[0]) <= 1e-5 * abs(one.losses[0]))
    for (a, b) in zip(one.losses, many.losses) { #expect(abs(a - b) <= 1e-2 * abs(a)) }
    #expect(one.filtersPerCategory.prefix(8) == many.filtersPerCategory.prefix(8))
  }

  @Test(
    "the layers know how far the run is, also after a resume and in accumulated steps", arguments: [1, 2])
  func progress(parts: Int) throws {
    try SmallRun.withFolder { folder in
      var configuration = SmallRun.configuration(steps: 10)
      configuration.checkpointEverySteps = 6
      // Of 24 images: three steps in an epoch.
      configuration.batchSize = 8
      configuration.accumulate = parts
      let stepsPerEpoch = 3.0
      for first in [0, 6] {
        if first > 0 { try SmallRun.rewind(folder, to: first) }
        let trainer = try Trainer(
          configuration, output: folder, resume: first > 0, SingleProcess(), Console(isSpeaking: false))
        var found: [Double] = []
        trainer.onStep = { [unowned trainer] _ in
          found.append(trainer.step.context.epochsDone)
          #expect(trainer.step.context.epochsInRun == 10 / stepsPerEpoch)
        }
        _ = try trainer.train()
        #expect(found == (first..<10).map { Double($0) / stepsPerEpoch })
      }
    }
  }

  @Test("local batch norm is another computation on two ranks")
  func localBatchNormDiffers() throws {
    var configuration = SmallRun.configuration(steps: 1)
    configuration.batchNorm = .local
    let (one, two) = try SmallRun.withFolder { folder in
      (
        try SmallRun.train(configuration, ranks: 1, output: folder + "/one"),
        try SmallRun.train(configuration, ranks: 2, output: folder + "/two")
      )
    }
    #expect(abs(one.losses[0] - two.losses[0]) > 1e-4 * abs(one.losses[0]))
  }

  @Test("a resumed run equals an uninterrupted one bit for bit, also in mid-epoch", arguments: [1, 2])
  func resume(ranks: Int) throws {
    try SmallRun.withFolder { folder in
      var configuration = SmallRun.configuration(steps: 10)
      // Epochs have four steps: the interruption after step 6 falls into the second.
      configuration.checkpointEverySteps = 6
      let whole = try SmallRun.train(configuration, ranks: ranks, output: folder)
      try SmallRun.rewind(folder, to: 6)
      #expect(try Checkpoint.open(folder).state.stepInEpoch == 2)
      let rest = try SmallRun.train(configuration, ranks: ranks, output: folder, resume: true)
      #expect(rest.losses == whole.losses.suffix(4))
      #expect(rest.files == whole.files)
    }
  }

  @Test("a run resumes on another number of ranks")
  func resumeElsewhere() throws {
    try SmallRun.withFolder { folder in
      var configuration = SmallRun.configuration(steps: 8)
      configuration.checkpointEverySteps = 4
      let whole = try SmallRun.train(configuration, ranks: 1, output: folder + "/whole")
      _ = try SmallRun.train(configuration, ranks: 3, output: folder + "/parts")
      try SmallRun.rewind(folder + "/parts", to: 4)
      let rest = try SmallRun.train(configuration, ranks: 2, output: folder + "/parts", resume: true)
      #expect(rest.losses.count == 4)
      for (a, b) in zip(rest.losses, whole.losses.suffix(4)) { #expect(abs(a - b) <= 1e-2 * abs(b)) }
    }
  }

  @Test("a run is continued only under the conditions it began with")
  func continuation() throws {
    try SmallRun.withFolder { folder in
      _ = try SmallRun.train(SmallRun.configuration(steps: 1), ranks: 1, output: folder + "/run")
      var other = SmallRun.configuration(steps: 2)
      other.seed = 2
      let error = #expect(throws: ExitError.self) {
        try SmallRun.train(other, ranks: 1, output: folder + "/run", resume: true)
      }
      #expect(error?.code == 65)
      #expect(error?.description.contains("seed was 1 and is now 2") == true)
      other = SmallRun.configuration(steps: 2)
      other.filterLoss = .literal
      let form = #expect(throws: ExitError.self) {
        try SmallRun.train(other, ranks: 1, output: folder + "/run", resume: true)
      }
      #expect(form?.description.contains("filter-loss was scaled and is now literal") == true)
      let again = #expect(throws: ExitError.self) {
        try SmallRun.train(SmallRun.configuration(steps: 2), ranks: 1, output: folder + "/run")
      }
      #expect(again?.code == 64)
    }
  }

  @Test("a numerical breakdown ends all ranks alike, names step, rank and layer, and leaves the checkpoint")
  func breakdown() throws {
    try SmallRun.withFolder { folder in
      var configuration = SmallRun.configuration(steps: 20)
      configuration.checkpointEverySteps = 1
      _ = try SmallRun.train(
        {
          var short = configuration
          short.steps = 1
          return short
        }(), ranks: 2, output: folder)
      configuration.learningRate = 1e30
      let error = #expect(throws: ExitError.self) {
        try SmallRun.train(configuration, ranks: 2, output: folder, resume: true)
      }
      #expect(error?.code == 70)
      #expect(error?.isShared == true)
      #expect(try SmallRun.values(folder).allSatisfy(\.isFinite))
    }
  }
}
