/// Whether a job that ended is started again, and after how long.
struct RestartPolicy: Equatable {
  /// What to do now.
  enum Decision: Equatable {
    case end
    /// As many restarts as are allowed have not got a checkpoint further.
    case giveUp
    case restart(afterSeconds: Int)
  }

  /// Restarts in a row without a new checkpoint.
  let maxRestarts: Int
  private(set) var restartsWithoutProgress = 0

  init(maxRestarts: Int) { self.maxRestarts = maxRestarts }

  /// - Parameters:
  ///   - retry: what the job's end says about another attempt.
  ///   - progressed: whether the attempt has written a checkpoint.
  mutating func decide(_ retry: JobEnd.Retry, progressed: Bool) -> Decision {
    if progressed { restartsWithoutProgress = 0 }
    switch retry {
    case .never: return .end
    case .afterProgress where !progressed: return .end
    case .always, .afterProgress: break
    }
    guard restartsWithoutProgress < maxRestarts else { return maxRestarts == 0 ? .end : .giveUp }
    restartsWithoutProgress += 1
    return .restart(afterSeconds: Self.backOff(restartsWithoutProgress))
  }

  /// Seconds before the nth restart without progress: 1, 2, 4, up to a minute.
  static func backOff(_ restart: Int) -> Int { min(60, 1 << min(restart - 1, 6)) }
}
