/// Plays a step's script against the two lanes of communication: when is what handed over, carried out, waited for?
///
/// The thread that trains computes; each lane takes what it is given in order, one after the other. While a lane is busy computation
/// may go more slowly; while buckets travel, statistics do. All ranks are taken to do the same at the same time, but for what `straggling` adds.
struct StepSimulator {
  /// What a step comes to, in seconds.
  struct Outcome: Equatable {
    /// All of it.
    var step = 0.0
    /// Waiting for sums of gradients.
    var gradientWait = 0.0
    /// Waiting for statistics.
    var statisticsWait = 0.0
    /// What the slowest rank takes longer than the usual one.
    var straggling = 0.0
    /// Of all that the lanes carry out.
    var communication = 0.0
  }

  var script: StepScript
  /// Lower bounds of the buckets, descending, the last one 0.
  var bucketOffsets: [Int]
  /// Seconds of a bucket of so many floats.
  var bucketSeconds: (Int) -> Double
  /// Seconds of a reduction of statistics of so many bytes.
  var statisticsSeconds: (Int) -> Double
  /// Seconds that a reduction of statistics takes longer while a bucket travels, at most.
  var overtakingSeconds = 0.0
  /// Factor by which computation takes longer while a lane is busy.
  var overlapSlowdown = 1.0
  /// Of an update; see `RankLayout`.
  var updateFactor = 1.0
  /// Standard deviations by which the slowest rank is behind.
  var straggling = 0.0

  private struct State {
    var now = 0.0
    /// When each lane has done everything it was given.
    var gradientsEnd = 0.0
    var statisticsEnd = 0.0
    var busy = 0.0
    var ends: [Int: Double] = [:]
    var startedBuckets = 0
  }

  /// From the beginning of the step to its end.
  func run() -> Outcome {
    var state = State()
    var outcome = Outcome()
    var isUpdating = false
    // Half of the hand-over is the way to the other thread, half the way back.
    let wake = script.handOver / 2
    func compute(_ seconds: Double) { advance(&state, isUpdating ? seconds * updateFactor : seconds) }
    for entry in script.entries {
      compute(entry.seconds)
      let late = straggling * entry.deviation
      state.now += late
      outcome.straggling += late
      switch entry.action {
      case .gradientsReady(let offset): startBuckets(from: offset, &state, wake)
      case .start(let number, let bytes):
        state.ends[number] = startStatistics(bytes, &state, wake)
      case .wait(let number):
        outcome.statisticsWait += wait(until: state.ends[number] ?? 0, &state, wake)
      case .waitForGradients:
        startBuckets(from: 0, &state, wake)
        outcome.gradientWait += wait(until: state.gradientsEnd, &state, wake)
      case .update: isUpdating = true
      }
    }
    compute(script.tail)
    outcome.step = state.now
    outcome.communication = state.busy
    return outcome
  }

  /// Computes for so many seconds of an undisturbed processor.
  private func advance(_ state: inout State, _ seconds: Double) {
    let disturbed = max(0, max(state.gradientsEnd, state.statisticsEnd) - state.now)
    if seconds * overlapSlowdown <= disturbed {
      state.now += seconds * overlapSlowdown
    } else {
      state.now += disturbed + (seconds - disturbed / overlapSlowdown)
    }
  }

  private func startBuckets(from offset: Int, _ state: inout State, _ wake: Double) {
    while state.startedBuckets < bucketOffsets.count && bucketOffsets[state.startedBuckets] >= offset {
      let lower = bucketOffsets[state.startedBuckets]
      let upper =
        state.startedBuckets == 0 ? script.gradientCount : bucketOffsets[state.startedBuckets - 1]
      let seconds = bucketSeconds(upper - lower)
      state.gradientsEnd = begin(after: state.gradientsEnd, state, wake) + seconds
      state.busy += seconds
      state.startedBuckets += 1
    }
  }

  /// Returns when it is done.
  private func startStatistics(_ bytes: Int, _ state: inout State, _ wake: Double) -> Double {
    let begin = self.begin(after: state.statisticsEnd, state, wake)
    let seconds =
      statisticsSeconds(bytes) + min(overtakingSeconds, max(0, state.gradientsEnd - begin))
    state.statisticsEnd = begin + seconds
    state.busy += seconds
    return state.statisticsEnd
  }

  /// When a lane that has something to do until `end` comes to what it is given now. A thread that sleeps must be woken; one that is
  /// busy goes on.
  private func begin(after end: Double, _ state: State, _ wake: Double) -> Double {
    max(state.now + wake, end)
  }

  /// Returns how long it waited.
  private func wait(until end: Double, _ state: inout State, _ wake: Double) -> Double {
    guard end > state.now else { return 0 }
    let waited = end + wake - state.now
    state.now += waited
    return waited
  }
}
