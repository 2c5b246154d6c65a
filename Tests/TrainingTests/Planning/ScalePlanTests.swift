import Communication
import Testing

@testable import Training

@Suite("ScalePlan") struct ScalePlanTests {
  /// Backward of 2 s an image whose gradients are final halfway and at its end; an update of 1 s. 2^20 floats.
  private static func script(images: Int) -> StepScript {
    let half = Double(images)
    let entries: [(Double, StepScript.Action)] = [
      (half, .gradientsReady(offset: 1 << 19)), (half, .gradientsReady(offset: 0)), (0, .waitForGradients),
      (0, .update),
    ]
    return StepScript(
      images: images, gradientCount: 1 << 20,
      entries: entries.map { StepScript.Entry(seconds: $0.0, action: $0.1) }, tail: 1, handOver: 0)
  }

  private static func plan(
    _ ranks: [Int], batchSize: Int, mebibitsPerSecond: Double, bucketMebibytes: Double = 2
  )
    -> ScalePlan
  {
    let measurement = ScaleMeasurement(
      network: "small", interpretable: false, imageSize: 8, parameters: 1 << 20, threads: 1, ranks: 1,
      ranksPerNode: 1, steps: 10, scripts: [1, 4, 16].map { Self.script(images: $0) },
      memoryBytesPerSecond: 1e10,
      link: nil, overlapSlowdown: 1)
    var question = ScalePlan.Question(
      batchSize: batchSize, ranks: ranks, ranksPerNode: 1, .automatic, .float32,
      bucketMebibytes: bucketMebibytes,
      LinkModel(latency: 0, bitsPerSecond: mebibitsPerSecond * 1_048_576), linkIsMeasured: false)
    question.nodeMeanTimeBetweenFailures = 1e6
    question.checkpointSeconds = 20
    return ScalePlan(question, measurement)
  }

  @Test("by hand: two ranks, two buckets of 2 MiB, a second a mebibyte")
  func byHand() {
    let plan = Self.plan([1, 2], batchSize: 8, mebibitsPerSecond: 8)
    // 4 images a rank: the first bucket from 4 to 6, the second from 8 to 10, the update until 11.
    let row = plan.strong[1]
    #expect(row.imagesPerRank == 4 && row.nodes == 2 && abs(row.stepMilliseconds - 11000) < 1e-6)
    #expect(
      abs(row.gradientWaitMilliseconds - 2000) < 1e-6 && abs(row.communicationMilliseconds - 4000) < 1e-6)
    #expect(abs(row.computeMilliseconds - 9000) < 1e-6)
    // One rank takes 17 s for the 8 images.
    #expect(abs(plan.strong[0].stepMilliseconds - 17000) < 1e-6 && abs(plan.strong[0].efficiency - 1) < 1e-12)
    #expect(abs(row.efficiency - 17.0 / 22) < 1e-12)
    // Weak: 8 images a rank. 16 s of backward, 2 s of waiting, 1 s of update, against 17.
    #expect(plan.weak[1].batchSize == 16 && abs(plan.weak[1].efficiency - 17.0 / 19) < 1e-12)
    // Gradients come in two lumps: smaller buckets do not help.
    #expect(row.bestBucketMebibytes == 2 && abs(row.bestBucketStepMilliseconds - 11000) < 1e-6)
    let coarse = Self.plan([2], batchSize: 8, mebibitsPerSecond: 8, bucketMebibytes: 64).strong[0]
    // All of it after backward: from 8 to 12. Halves are better by 1 in 13.
    #expect(abs(coarse.stepMilliseconds - 13000) < 1e-6 && coarse.bestBucketMebibytes == 2)
  }

  @Test("a network without limits makes ranks perfect but for the update")
  func noNetwork() {
    let plan = Self.plan([2, 4], batchSize: 8, mebibitsPerSecond: 1e12)
    #expect(plan.strong.map { ($0.stepMilliseconds / 100).rounded() } == [90, 50])
    #expect(plan.weak.allSatisfy { abs($0.efficiency - 1) < 1e-3 && $0.bestBucketMebibytes == 2 })
  }

  @Test("more ranks than images are left out of strong scaling; doubts are told")
  func doubts() {
    let plan = Self.plan([1, 4, 64], batchSize: 8, mebibitsPerSecond: 8)
    #expect(plan.strong.map(\.ranks) == [1, 4] && plan.weak.map(\.ranks) == [1, 4, 64])
    #expect(plan.strong[0].doubts.isEmpty)
    #expect(plan.strong[1].doubts == [.linkNotMeasured])
    #expect(plan.weak[2].doubts == [.networkExtrapolated, .linkNotMeasured, .stragglersExtrapolated])
    let text = plan.description
    #expect(text.contains("more than 8 ranks would have no image each"))
    for doubt in plan.weak[2].doubts { #expect(text.contains("\(doubt.letter)  \(doubt.words)")) }
  }

  @Test("checkpoints by the nodes' failures and the step's length")
  func checkpoints() throws {
    let row = Self.plan([2], batchSize: 8, mebibitsPerSecond: 8).strong[0]
    let interval = try #require(row.checkpoint)
    #expect(interval.jobMeanTimeBetweenFailures == 5e5)
    #expect(row.checkpointEverySteps == Int((interval.dalySeconds / 11).rounded()))
  }

  @Test("shares that are measured enclose those that are asked for")
  func shares() {
    #expect(ScalePlan.shares(batchSize: 64, ranks: [1, 8, 64]) == [1, 8, 64])
    #expect(ScalePlan.shares(batchSize: 8, ranks: [64]) == [1, 2])
    #expect(ScalePlan.shares(batchSize: 10, ranks: [3]) == [4])
  }
}
