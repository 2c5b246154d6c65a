import Foundation
import Testing

@testable import Communication

/// Holds every operation until it is let go; fails at operations of a count.
private final class HeldEngine: CollectiveEngine, @unchecked Sendable {
  let entered = DispatchSemaphore(value: 0)
  let letGo = DispatchSemaphore(value: 0)
  private let failingCount: Int?

  init(failingCount: Int? = nil) { self.failingCount = failingCount }

  func perform(_ collective: Collective) throws(CommunicationError) {
    guard collective.kind != .stop else { return }
    entered.signal()
    letGo.wait()
    if collective.count == failingCount {
      throw .collectiveFailed(operation: "operation \(collective.count)", reason: "asked for")
    }
  }
}

/// Notes what it is asked for.
private final class NotingEngine: CollectiveEngine, @unchecked Sendable {
  let kinds = Mutexed<[Collective.Kind]>([])

  func perform(_ collective: Collective) { kinds.withLock { $0.append(collective.kind) } }
}

@Suite("CommunicationLanes") struct CommunicationLanesTests {
  private static func collective(_ kind: Collective.Kind, _ count: Int = 1) -> Collective {
    var collective = Collective(kind)
    collective.count = count
    return collective
  }

  private static func lanes(_ gradients: any CollectiveEngine, _ statistics: any CollectiveEngine)
    -> CommunicationLanes
  {
    let heartbeat = Heartbeat()
    let fault = LaneFault(heartbeat)
    func thread(_ lane: Lane, _ engine: any CollectiveEngine) -> CommunicationThread {
      CommunicationThread(lane, engine: engine, spins: false, heartbeat: heartbeat, fault: fault)
    }
    return CommunicationLanes(
      gradients: thread(.gradients, gradients), statistics: thread(.statistics, statistics))
  }

  @Test("statistics are done while a bucket that was handed over before them is under way")
  func overtaking() throws {
    let held = HeldEngine()
    let lanes = Self.lanes(held, NotingEngine())
    let bucket = lanes.start(Self.collective(.allReduceFloat))
    held.entered.wait()
    for _ in 0..<3 { try lanes.perform(Self.collective(.allReduceDouble)) }
    let status = lanes.heartbeat.status
    #expect(status.gradients.isWaiting && status.gradients.arrived == 1)
    #expect(!status.statistics.isWaiting && status.statistics.arrived == 3)
    held.letGo.signal()
    try bucket.wait()
    lanes.stop()
  }

  @Test("every kind but reductions of doubles is of the lane of gradients")
  func kinds() throws {
    let (gradients, statistics) = (NotingEngine(), NotingEngine())
    let lanes = Self.lanes(gradients, statistics)
    let kinds: [Collective.Kind] = [
      .start, .allReduceFloat, .allReduceDouble, .sumBFloat16, .broadcast, .allGather, .barrier, .openWindow,
      .windowSum, .windowFinish, .windowUpdated,
    ]
    for kind in kinds { try lanes.perform(Self.collective(kind)) }
    #expect(lanes[.gradients].operationCount == 10 && lanes[.statistics].operationCount == 1)
    lanes.stop()
    #expect(gradients.kinds.withLock { $0 } == kinds.filter { $0 != .allReduceDouble } + [.stop])
    #expect(statistics.kinds.withLock { $0 } == [.allReduceDouble, .stop])
  }

  @Test("one thread carries out both where there is no second, and is stopped once")
  func singleThread() throws {
    let engine = NotingEngine()
    let lanes = CommunicationLanes(
      gradients: CommunicationThread(engine: engine, spins: false), statistics: nil)
    try lanes.perform(Self.collective(.allReduceDouble))
    try lanes.perform(Self.collective(.allReduceFloat))
    lanes.stop()
    #expect(engine.kinds.withLock { $0 } == [.allReduceDouble, .allReduceFloat, .stop])
  }

  @Test(
    "after a fault in either lane the other one tries nothing, not even the end", arguments: Lane.allCases)
  func faults(failing: Lane) throws {
    let (held, noting) = (HeldEngine(failingCount: 7), NotingEngine())
    let isGradients = failing == .gradients
    let lanes = isGradients ? Self.lanes(held, noting) : Self.lanes(noting, held)
    let kinds: [Collective.Kind] =
      isGradients ? [.allReduceFloat, .allReduceDouble] : [.allReduceDouble, .allReduceFloat]
    let expected = CommunicationError.collectiveFailed(operation: "operation 7", reason: "asked for")
    let other = lanes[isGradients ? .statistics : .gradients]
    let failed = lanes[failing].submit(Self.collective(kinds[0], 7))
    // Done before the fault: that stays so.
    let before = other.submit(Self.collective(kinds[1]))
    try other.wait(for: before)
    held.letGo.signal()
    #expect(throws: expected) { try lanes[failing].wait(for: failed) }
    #expect(throws: expected) { try lanes.perform(Self.collective(kinds[1])) }
    #expect(throws: Never.self) { try other.wait(for: before) }
    lanes.stop()
    #expect(noting.kinds.withLock { $0 } == [kinds[1]])
  }
}
