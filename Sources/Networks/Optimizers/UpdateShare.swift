/// What one rank does of an update, where ranks see each other's memory and share the work.
///
/// Each rank adds up the gradients of its range over all copies and updates the values that all of them use. The update is then
/// done once per node instead of once per rank, and the sums are never written.
public struct UpdateShare {
  /// Part of the arenas, cut at multiples of 16.
  public let range: Range<Int>
  /// Gradient arenas, whose sum in this order is the gradient; at least one.
  public let gradients: [UnsafePointer<Float>?]

  /// The share of a rank.
  public init(range: Range<Int>, gradients: [UnsafePointer<Float>?]) {
    precondition(!gradients.isEmpty && range.lowerBound % 16 == 0, "UpdateShare of \(range)")
    self.range = range
    self.gradients = gradients
  }
}
