/// Where the time of one step went on this rank, in seconds.
public struct StepTimes: Sendable {
  /// Waiting for images, forward and loss.
  public var forward = 0.0
  /// Backward, with the reductions that overlap it.
  public var backward = 0.0
  /// Waiting for other ranks after backward.
  public var communication = 0.0
  /// The optimiser.
  public var update = 0.0
  /// All of it.
  public var total: Double { forward + backward + communication + update }
}

/// Laps of a clock.
struct Stopwatch {
  private var last = ContinuousClock.now

  /// Seconds since the last lap or the start.
  mutating func lap() -> Double {
    let now = ContinuousClock.now
    defer { last = now }
    return (now - last).inSeconds
  }
}
