/// How much further a rank's clock is than rank 0's, as far as messages can tell.
public struct ClockOffset: Sendable, Equatable {
  /// Nanoseconds to subtract from this rank's times to have them on rank 0's clock.
  public var nanoseconds: Int64
  /// The true offset is at most so many nanoseconds away, if the clocks run alike while it is measured.
  public var accuracy: Int64
  /// When it was measured, by this rank's clock.
  public var time: UInt64

  /// A known offset.
  package init(nanoseconds: Int64, accuracy: Int64, time: UInt64) {
    (self.nanoseconds, self.accuracy, self.time) = (nanoseconds, accuracy, time)
  }

  /// One barrier as a rank saw it, by its own clock in nanoseconds.
  struct Meeting {
    var entry: UInt64
    var exit: UInt64
  }

  /// From barriers in which both ranks were. Nobody leaves one before the other has entered it, so that each gives a lower
  /// and an upper bound; the best of all are kept and the middle is taken.
  init(own: [Meeting], reference: [Meeting]) {
    precondition(own.count == reference.count && !own.isEmpty, "\(own.count) and \(reference.count) barriers")
    var lower = Int64.min
    var upper = Int64.max
    for (mine, other) in zip(own, reference) {
      lower = max(lower, Int64(bitPattern: mine.entry &- other.exit))
      upper = min(upper, Int64(bitPattern: mine.exit &- other.entry))
    }
    nanoseconds = lower + (upper - lower) / 2
    accuracy = (upper - lower + 1) / 2
    time = own[own.count / 2].entry
  }
}

extension Communicator {
  /// Measures the offset of every rank's clock from rank 0's, in the order of ranks. All ranks call it, and wait for each other.
  ///
  /// - Returns: offsets, and rank 0's time when the first of them began.
  public func clockOffsets(rounds: Int = 32) throws(CommunicationError) -> (
    offsets: [ClockOffset], begin: UInt64
  ) {
    var words: [UInt64] = []
    for _ in 0..<rounds {
      words.append(monotonicNanoseconds())
      try barrier()
      words.append(monotonicNanoseconds())
    }
    let meetings = try allGather(words.withUnsafeBytes { Array($0) }).map { bytes in
      bytes.withUnsafeBytes { raw in
        (0..<rounds).map { round in
          ClockOffset.Meeting(
            entry: raw.loadUnaligned(fromByteOffset: 16 * round, as: UInt64.self),
            exit: raw.loadUnaligned(fromByteOffset: 16 * round + 8, as: UInt64.self))
        }
      }
    }
    var offsets = meetings.map { ClockOffset(own: $0, reference: meetings[0]) }
    // Its own clock needs no measuring.
    (offsets[0].nanoseconds, offsets[0].accuracy) = (0, 0)
    return (offsets, meetings[0][0].entry)
  }
}
