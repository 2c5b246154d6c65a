import Communication
import Networks
import Testing

@testable import Training

@Suite("StepScript") struct StepScriptTests {
  private static func script(images: Int, _ seconds: [Double], tail: Double) -> StepScript {
    let actions: [StepScript.Action] = [.gradientsReady(offset: 0), .waitForGradients, .update]
    return StepScript(
      images: images, gradientCount: 10,
      entries: zip(seconds, actions).map { StepScript.Entry(seconds: $0, action: $1) }, tail: tail,
      handOver: 0)
  }

  @Test("between two recordings and beyond them, piece by piece")
  func interpolation() {
    let scripts = [
      Self.script(images: 2, [3, 0, 1], tail: 5), Self.script(images: 4, [5, 0, 1], tail: 5),
      Self.script(images: 8, [13, 0, 1], tail: 5),
    ]
    #expect(StepScript.estimate(images: 3, from: scripts).entries.map(\.seconds) == [4, 0, 1])
    #expect(StepScript.estimate(images: 4, from: scripts).entries.map(\.seconds) == [5, 0, 1])
    #expect(StepScript.estimate(images: 6, from: scripts).entries.map(\.seconds) == [9, 0, 1])
    #expect(StepScript.estimate(images: 10, from: scripts).entries.map(\.seconds) == [17, 0, 1])
    #expect(StepScript.estimate(images: 1, from: scripts).entries.map(\.seconds) == [2, 0, 1])
    #expect(StepScript.estimate(images: 10, from: scripts).tail == 5)
    #expect(StepScript.estimate(images: 10, from: scripts).images == 10)
  }

  @Test("from one recording all but the update grows with the images")
  func proportional() {
    let one = StepScript.estimate(images: 6, from: [Self.script(images: 2, [3, 2, 1], tail: 5)])
    #expect(one.entries.map(\.seconds) == [9, 6, 3] && one.tail == 5)
  }

  @Test("the usual of several recordings, and how much they vary")
  func median() throws {
    let scripts = [1.0, 2, 3, 4, 100].map { Self.script(images: 1, [$0, 1, 0], tail: 2) }
    let usual = try #require(StepScript.usual(of: scripts))
    #expect(usual.entries.map(\.seconds) == [3, 1, 0] && usual.computeSeconds == 6)
    // Quartiles of the seconds before the wait: 3 and 5.
    #expect(abs(usual.entries[1].deviation - 2 / 1.349) < 1e-12)
    #expect(
      StepScript.usual(
        of: scripts + [
          StepScript(
            images: 1, gradientCount: 10, entries: [], tail: 0, handOver: 0)
        ]) == nil)
  }

  @Test(
    "a rehearsed step asks what a real one of several ranks asks, in the same order",
    arguments: [true, false])
  func rehearsal(interpretable: Bool) throws {
    var configuration = TrainingConfiguration()
    configuration.interpretable = interpretable
    configuration.imageSize = 32
    configuration.reduction = .plain
    configuration.bucketSize = .mebibytes(0.25)
    let (resolved, architecture) = try configuration.resolved()
    let rehearsed = try StepRehearsal(resolved, architecture, classes: 3, images: 2)
    let script = try rehearsed.record(steps: 3, warmupSteps: 1)
    #expect(script.images == 2 && script.computeSeconds > 0 && script.handOver > 0)
    #expect(script.entries.contains { $0.action == .waitForGradients })
    let real = try InProcessGroup.run(size: 2) { communicator -> [StepScript.Action] in
      var configuration = resolved
      configuration.batchSize = 4
      let bench = try Benchmark(configuration, architecture, classes: 3, communicator)
      _ = try bench.runStep()
      let timeline = Timeline(capacity: 1 << 14)
      communicator.heartbeat.timeline = timeline
      timeline.isRecording = true
      let begin = Timeline.now
      _ = try bench.runStep()
      timeline.isRecording = false
      communicator.heartbeat.timeline = nil
      return StepScript(
        timeline, begin: begin, end: Timeline.now, images: 2, gradientCount: bench.step.network.store.count
      ).entries.map(\.action)
    }
    #expect(real[0] == script.entries.map(\.action))
    let offsets = script.entries.compactMap {
      if case .gradientsReady(let offset) = $0.action { offset } else { nil }
    }
    #expect(offsets == offsets.sorted(by: >) && offsets.last == 0 && offsets.count > 5)
  }
}
