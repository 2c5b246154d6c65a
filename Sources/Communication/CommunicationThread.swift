/// The one thread that speaks to MPI: carries out operations in the order in which they were asked for.
final class CommunicationThread: @unchecked Sendable {
  /// Blocks until the operation that `ticket` names is done.
  func wait(for ticket: UInt64) throws(CommunicationError) {}
}
