import Communication
import Networks

extension TrainingConfiguration {
  /// This configuration with a size of buckets that is chosen for these ranks if it is to be; all call it.
  public func withBucketSize(
    _ architecture: Architecture, classes: Int, _ communicator: any Communicator, _ console: Console
  ) throws -> TrainingConfiguration {
    guard bucketSize == .automatic else { return self }
    let choice = try BucketChoice(self, architecture, classes: classes, communicator, console)
    console.line("\(choice)")
    var result = self
    result.bucketSize = .mebibytes(choice.mebibytes)
    return result
  }
}

/// The size of buckets with which the steps of a job are shortest, as `ScalePlan` predicts them from all-reduces and steps
/// measured on its ranks (docs/adr/0020-planning-scale.md).
struct BucketChoice: CustomStringConvertible {
  /// The same on all ranks.
  let mebibytes: Double
  /// Why, in a few words.
  let reason: String

  /// For a person.
  var description: String { "buckets of \(mebibytes.short) MiB: \(reason)" }

  /// Steps that are timed on each rank, after one that is not.
  private static let steps = 3

  /// Chooses the size for these ranks; all call it. Measures nothing where buckets do not travel: on one rank, and where all ranks share
  /// memory. For the measurement a second network lives beside the one that is trained, if that is there already.
  init(
    _ configuration: TrainingConfiguration, _ architecture: Architecture, classes: Int,
    _ communicator: any Communicator, _ console: Console
  ) throws {
    let ranksPerNode = try Int(communicator.allReduce([Double(communicator.localSize)], .maximum)[0])
    let layout = RankLayout(
      ranks: communicator.size, ranksPerNode: ranksPerNode, configuration.reduction,
      configuration.gradientExchange)
    guard communicator.size > 1, !(layout.hasWindow && layout.nodes == 1) else {
      mebibytes = BucketSize.usualMebibytes
      reason = "no bucket travels over a network"
      return
    }
    let measurement = try ScaleMeasurement.take(
      configuration, architecture, classes: classes,
      shares: [ScalePlan.share(configuration.batchSize / configuration.accumulate, communicator.size)],
      steps: Self.steps, warmupSteps: 1, communicator
    ) { console.line("choosing the size of buckets: measuring \($0)") }
    guard let link = measurement.link?.link else {
      mebibytes = BucketSize.usualMebibytes
      reason = "the network could not be measured"
      return
    }
    let row = ScalePlan(
      ScalePlan.Question(
        batchSize: configuration.batchSize / configuration.accumulate, ranks: [communicator.size],
        ranksPerNode: ranksPerNode, configuration.reduction, configuration.gradientExchange,
        bucketMebibytes: BucketSize.usualMebibytes, link, linkIsMeasured: true), measurement
    ).strong[0]
    let wanted = Self.mebibytes(
      best: row.bestBucketMebibytes, bestStep: row.bestBucketStepMilliseconds,
      usualStep: row.stepMilliseconds)
    // What the ranks measured of their own computation differs.
    mebibytes = try communicator.allReduce([communicator.rank == 0 ? wanted : 0], .maximum)[0]
    reason =
      "\((1e6 * link.latency).short) us and \((8e-6 / link.secondsPerByte).short) Mbit/s measured; a step of "
      + "\(row.bestBucketStepMilliseconds.fixed(0)) ms expected with \(row.bestBucketMebibytes.short) MiB, "
      + "\(row.stepMilliseconds.fixed(0)) ms with \(BucketSize.usualMebibytes.short) MiB"
  }

  /// The usual size unless the best one makes the step at least a twentieth shorter: predictions err by that much.
  static func mebibytes(best: Double, bestStep: Double, usualStep: Double) -> Double {
    bestStep < 0.95 * usualStep ? best : BucketSize.usualMebibytes
  }
}
