/// Which steps a timeline is written of, and where.
public struct TraceOptions: Sendable {
  /// A file in Chrome's trace format; rank 0's.
  public var path: String
  /// Counted from this start of the program, the first step being 1.
  public var steps: ClosedRange<Int>
  /// Spans that are kept of each thread of a rank, 48 bytes each.
  public var capacity = 1 << 17

  /// Ten steps after two for warming up, unless others are named.
  public init(path: String, steps: ClosedRange<Int> = 3...12) {
    self.path = path
    self.steps = steps
  }
}
