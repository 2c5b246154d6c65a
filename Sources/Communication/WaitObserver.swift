/// Hears of what a rank's threads wait for.
protocol WaitObserver: AnyObject, Sendable {
  /// The thread that asks goes to sleep until an operation of that lane is done.
  func waits(for ticket: UInt64, of lane: Lane)
  /// It goes on.
  func goesOn()
  /// A lane has done an operation.
  func isDone()
}
