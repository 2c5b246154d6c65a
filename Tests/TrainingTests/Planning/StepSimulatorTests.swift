import Testing

@testable import Training

@Suite("StepSimulator") struct StepSimulatorTests {
  private typealias Entry = StepScript.Entry

  private static func script(_ entries: [(Double, StepScript.Action)], tail: Double = 0, handOver: Double = 0)
    -> StepScript
  {
    StepScript(
      images: 1, gradientCount: 100, entries: entries.map { StepScript.Entry(seconds: $0.0, action: $0.1) },
      tail: tail, handOver: handOver)
  }

  /// Buckets of 50 floats; a second a float's tenth, statistics a second a byte.
  private static func simulator(_ script: StepScript) -> StepSimulator {
    StepSimulator(
      script: script, bucketOffsets: [50, 0], bucketSeconds: { Double($0) / 10 },
      statisticsSeconds: { Double($0) })
  }

  @Test("buckets that backward hides, and one that it does not")
  func buckets() {
    // Bucket 1 is handed over at 3 and done at 8, bucket 2 at 7 and done at 13; the update takes 2.
    let script = Self.script(
      [
        (3, .gradientsReady(offset: 40)), (4, .gradientsReady(offset: 0)), (0, .waitForGradients),
        (0, .update),
      ], tail: 2)
    let outcome = Self.simulator(script).run()
    #expect(outcome == StepSimulator.Outcome(step: 15, gradientWait: 6, communication: 10))
  }

  @Test("a bucket begins when its last gradient is final, not before")
  func partialBuckets() {
    let script = Self.script([
      (1, .gradientsReady(offset: 60)), (1, .gradientsReady(offset: 51)), (1, .gradientsReady(offset: 50)),
      (1, .gradientsReady(offset: 0)), (0, .waitForGradients),
    ])
    // 3 to 8, 8 to 13.
    #expect(Self.simulator(script).run().step == 13)
  }

  @Test("statistics do not wait behind the buckets that were handed over before them")
  func overtaking() {
    let script = Self.script([
      (1, .gradientsReady(offset: 50)), (1, .start(0, bytes: 2)), (1, .wait(0)),
      (1, .gradientsReady(offset: 0)),
      (0, .waitForGradients),
    ])
    // Bucket from 1 to 6, statistics from 2 to 4: waited for from 3 on. The rest, handed over at 5, from 6 to 11.
    var simulator = Self.simulator(script)
    #expect(
      simulator.run()
        == StepSimulator.Outcome(step: 11, gradientWait: 6, statisticsWait: 1, communication: 12))
    // Behind pieces of the bucket that are under way: until 5.
    simulator.overtakingSeconds = 1
    #expect(
      simulator.run()
        == StepSimulator.Outcome(step: 11, gradientWait: 5, statisticsWait: 2, communication: 13))
    // Never longer than the bucket travels: from 2 to 6, and 2 more.
    simulator.overtakingSeconds = 100
    #expect(simulator.run().statisticsWait == 5)
  }

  @Test("what is done already is not waited for")
  func hidden() {
    let script = Self.script([(1, .start(0, bytes: 2)), (10, .wait(0)), (1, .waitForGradients)])
    // The gradients were never handed over: they are at the wait.
    let outcome = Self.simulator(script).run()
    #expect(outcome.statisticsWait == 0 && outcome.step == 22)
  }

  @Test("waking the other thread, and being woken, takes half of the hand-over each")
  func handOver() {
    let script = Self.script([(1, .start(0, bytes: 3)), (0, .wait(0))], tail: 1, handOver: 0.5)
    #expect(Self.simulator(script).run().step == 5.5)
  }

  @Test("computation is slower while the other thread is busy, and only then")
  func slowdown() {
    let script = Self.script([(1, .start(0, bytes: 3)), (1, .wait(0))], tail: 2)
    var simulator = Self.simulator(script)
    simulator.overlapSlowdown = 2
    // Busy from 1 to 4; a second of work takes 2, until 3; waits until 4; then 2 more.
    #expect(simulator.run().step == 6)
    simulator.script = Self.script([(1, .start(0, bytes: 3)), (5, .wait(0))], tail: 2)
    // 1.5 s of work until 4, 3.5 more until 7.5.
    #expect(simulator.run().step == 9.5)
  }

  @Test("the slowest rank is late at every wait; a divided update takes its share")
  func straggling() {
    var script = Self.script([(4, .wait(0)), (1, .update)], tail: 3)
    script.entries[0].deviation = 0.5
    var simulator = Self.simulator(script)
    simulator.straggling = 2
    simulator.updateFactor = 0.5
    let outcome = simulator.run()
    #expect(outcome.step == 4 + 1 + 1 + 1.5 && outcome.straggling == 1)
  }

  @Test("as a clock that ticks finds it", arguments: 1...40)
  func oracle(seed: Int) {
    var random = Generator(seed: UInt64(seed))
    var entries: [(Double, StepScript.Action)] = []
    var (offset, started) = (100, 0)
    for _ in 0..<Int.random(in: 3...12, using: &random) {
      let seconds = Double(Int.random(in: 0...8, using: &random))
      switch Int.random(in: 0..<3, using: &random) {
      case 0:
        offset -= Int.random(in: 0...min(offset, 40), using: &random)
        entries.append((seconds, .gradientsReady(offset: offset)))
      case 1:
        entries.append((seconds, .start(started, bytes: Int.random(in: 1...9, using: &random))))
        started += 1
      default:
        if started > 0 { entries.append((seconds, .wait(Int.random(in: 0..<started, using: &random)))) }
      }
    }
    entries += [(2, .gradientsReady(offset: 0)), (1, .waitForGradients), (0, .update)]
    let script = Self.script(entries, tail: 3)
    var simulator = Self.simulator(script)
    simulator.bucketOffsets = [70, 40, 10, 0]
    simulator.overlapSlowdown = 2
    let ticked = Self.tick(script, buckets: [70, 40, 10, 0])
    #expect(abs(simulator.run().step - ticked) < 0.05, "\(entries)")
  }

  /// The same by a clock of 2000 ticks a second: at every tick each lane and the computation go on by what they can, computation
  /// at half its speed while a lane has something to do.
  private static func tick(_ script: StepScript, buckets: [Int]) -> Double {
    let dt = 1.0 / 2000
    var gradients: [(name: String, left: Double)] = []
    var statistics: [(name: String, left: Double)] = []
    var done: Set<String> = []
    var (ready, handedOver) = (100, 0)
    var program: [(work: Double, action: StepScript.Action?)] = script.entries.map { ($0.seconds, $0.action) }
    program.append((script.tail, nil))
    func handOverBuckets() {
      while handedOver < buckets.count && buckets[handedOver] >= ready {
        let upper = handedOver == 0 ? 100 : buckets[handedOver - 1]
        gradients.append(("bucket", Double(upper - buckets[handedOver]) / 10))
        handedOver += 1
      }
    }
    func passes(_ action: StepScript.Action?) -> Bool {
      switch action {
      case nil, .update?: return true
      case .gradientsReady(let offset)?:
        ready = offset
        handOverBuckets()
        return true
      case .start(let number, let bytes)?:
        statistics.append(("statistics \(number)", Double(bytes)))
        return true
      case .wait(let number)?: return done.contains("statistics \(number)")
      case .waitForGradients?:
        ready = 0
        handOverBuckets()
        return gradients.isEmpty
      }
    }
    func work(off queue: inout [(name: String, left: Double)]) {
      guard !queue.isEmpty else { return }
      queue[0].left -= dt
      if queue[0].left <= 1e-9 { done.insert(queue.removeFirst().name) }
    }
    var ticks = 0
    while true {
      while let first = program.first, first.work <= 0, passes(first.action) { program.removeFirst() }
      guard !program.isEmpty else { return Double(ticks) * dt }
      program[0].work -= gradients.isEmpty && statistics.isEmpty ? dt : dt / 2
      work(off: &gradients)
      work(off: &statistics)
      ticks += 1
    }
  }
}

/// A small generator with a seed (SplitMix64).
private struct Generator: RandomNumberGenerator {
  var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
