/// Plays a step's script against a communication thread: when is what handed over, carried out, waited for?
///
/// The thread that trains computes; the one that communicates takes what it is given in order, one after the other. While it is busy computation
/// may go more slowly. All ranks are taken to do the same at the same time, but for what `straggling` adds.
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
    /// The communication thread being busy.
    var communication = 0.0
  }

  var script: StepScript
  /// Lower bounds of the buckets, descending, the last one 0.
  var bucketOffsets: [Int]
  /// Seconds of a bucket of so many floats.
  var bucketSeconds: (Int) -> Double
  /// Seconds of a reduction of statistics of so many bytes.
  var statisticsSeconds: (Int) -> Double
  /// Factor by which computation takes longer while the communication thread is busy.
  var overlapSlowdown = 1.0
  /// Of an update; see `RankLayout`.
  var updateFactor = 1.0
  /// Standard deviations by which the slowest rank is behind.
  var straggling = 0.0

  private struct State {
    var now = 0.0
    /// When the communication thread has done everything it was given.
    var communicationEnd = 0.0
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
        state.ends[number] = submit(statisticsSeconds(bytes), &state, wake)
      case .wait(let number):
        outcome.statisticsWait += wait(until: state.ends[number] ?? 0, &state, wake)
      case .waitForGradients:
        startBuckets(from: 0, &state, wake)
        outcome.gradientWait += wait(until: state.communicationEnd, &state, wake)
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
    let disturbed = max(0, state.communicationEnd - state.now)
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
      _ = submit(bucketSeconds(upper - lower), &state, wake)
      state.startedBuckets += 1
    }
  }

  /// Returns when it is done.
  private func submit(_ seconds: Double, _ state: inout State, _ wake: Double) -> Double {
    // A thread that sleeps must be woken; one that is busy goes on.
    let begin = max(state.now + wake, state.communicationEnd)
    state.communicationEnd = begin + seconds
    state.busy += seconds
    return state.communicationEnd
  }

  /// Returns how long it waited.
  private func wait(until end: Double, _ state: inout State, _ wake: Double) -> Double {
    guard end > state.now else { return 0 }
    let waited = end + wake - state.now
    state.now += waited
    return waited
  }
}
