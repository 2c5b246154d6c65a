import Foundation
import Testing

@testable import Communication

@Suite("Timeline") struct TimelineTests {
  private static func collective(_ count: Int, bucket: Int = 0) -> Collective {
    var collective = Collective(.allReduceFloat)
    collective.count = count
    collective.bucket = bucket
    return collective
  }

  @Test("a phase lasts until the next, the last one until recording ends")
  func phases() throws {
    let heartbeat = Heartbeat()
    let timeline = Timeline(capacity: 8)
    heartbeat.timeline = timeline
    heartbeat.enter(.loading, step: 4)
    #expect(timeline.training.events.isEmpty)
    timeline.isRecording = true
    heartbeat.enter(.forward, step: 4)
    heartbeat.enter(.backward, step: 4)
    timeline.isRecording = false
    heartbeat.enter(.update, step: 4)
    let events = timeline.training.events
    #expect(events.map(\.phase) == [.forward, .backward])
    #expect(events.allSatisfy { $0.count == 4 && $0.end >= $0.begin })
    #expect(events[0].end == events[1].begin)
  }

  @Test("what does not fit is counted and left out")
  func capacity() {
    let timeline = Timeline(capacity: 3)
    timeline.isRecording = true
    for layer in 0..<5 { timeline.layer(.forward, layer, begin: Timeline.now) }
    #expect(timeline.training.events.map(\.layer) == [0, 1, 2])
    #expect(timeline.training.droppedCount == 2)
    timeline.training.removeAll()
    #expect(timeline.training.events.isEmpty && timeline.training.droppedCount == 0)
  }

  @Test("each lane's collectives are its own thread's")
  func lanes() throws {
    let names = try InProcessGroup.run(size: 2) { communicator -> [[String]] in
      let timeline = Timeline(capacity: 64)
      communicator.heartbeat.timeline = timeline
      timeline.isRecording = true
      try communicator.barrier()
      _ = try communicator.allReduce([1, 2], .sum)
      timeline.isRecording = false
      communicator.heartbeat.timeline = nil
      let training = timeline.training.events
      #expect(training.filter { $0.kind == .wait }.map(\.lane) == [.gradients, .statistics])
      #expect(training.filter { $0.kind == .wait }.map(\.ticket) == [1, 1])
      return timeline.buffers.dropFirst().map { $0.events.compactMap(\.words) }
    }
    #expect(names == Array(repeating: [["barrier"], ["allReduce(sum) of 2 Double"]], count: 2))
  }

  @Test("a collective is seen on both threads, in the order hand over, carry out, waited for")
  func collectives() throws {
    let counts = try InProcessGroup.run(size: 2) { communicator -> [Int] in
      let timeline = Timeline(capacity: 64)
      communicator.heartbeat.timeline = timeline
      timeline.isRecording = true
      let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: 100)
      defer { values.deallocate() }
      values.initialize(repeating: 1)
      let exchange = communicator.gradientExchange(.plain, .float32)
      exchange.start(UnsafeMutableBufferPointer(rebasing: values[50...]))
      exchange.start(UnsafeMutableBufferPointer(rebasing: values[..<50]))
      try exchange.finish()
      timeline.isRecording = false
      communicator.heartbeat.timeline = nil
      let training = timeline.training.events
      let submits = training.filter { $0.kind == .submit }
      let waits = training.filter { $0.kind == .wait }
      let reductions = timeline.gradients.events.filter { $0.kind == .collective }
      #expect(submits.map(\.bucket) == [1, 2] && reductions.map(\.bucket) == [1, 2])
      #expect(waits.map(\.bucket) == [2])
      #expect(waits[0].words == "allReduce(sum) of 50 Float (bucket 2)" && waits[0].byteCount == 200)
      for (submit, reduction) in zip(submits, reductions) {
        #expect(submit.ticket == reduction.ticket)
        #expect(submit.begin <= reduction.begin && reduction.begin <= reduction.end)
      }
      #expect(waits[0].end >= reductions[1].end && reductions[1].begin >= reductions[0].end)
      return [submits.count, waits.count, reductions.count]
    }
    #expect(counts == [[2, 1, 2], [2, 1, 2]])
  }
}
