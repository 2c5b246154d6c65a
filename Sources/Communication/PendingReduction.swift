/// A reduction under way. It must be waited on exactly once before its memory is read, written or freed.
public struct PendingReduction: ~Copyable, Sendable {
  private let thread: Unmanaged<CommunicationThread>?
  private let ticket: UInt64

  /// A reduction that is done already (one rank).
  init() {
    thread = nil
    ticket = 0
  }

  /// The reduction that `thread` knows as `ticket`; the communicator that owns the thread outlives it.
  init(thread: CommunicationThread, ticket: UInt64) {
    self.thread = Unmanaged.passUnretained(thread)
    self.ticket = ticket
  }

  /// Blocks until the values are reduced on this rank.
  public consuming func wait() throws(CommunicationError) {
    let thread = self.thread
    let ticket = self.ticket
    discard self
    if let thread { try thread.takeUnretainedValue().wait(for: ticket) }
  }

  deinit { trapDropped() }

  /// The values would be read, or their memory freed, while another thread writes them. After an error that ends
  /// the rank anyway, `try? pending.wait()` lets go of what is still under way.
  private borrowing func trapDropped() { fatalError("PendingReduction \(ticket) dropped without wait()") }
}
