/// Scratch memory that operations share: it grows to what the largest of them wants and then stays.
///
/// Its content means nothing between two operations, so one object serves all layers of a network.
public final class Workspace {
  private var storage = AlignedBuffer<Float>(count: 0)

  /// An empty workspace.
  public init() {}

  /// Floats it holds now.
  public var count: Int { storage.count }

  /// Grows to `count` floats now, so that no operation that wants fewer has to.
  public func reserve(_ count: Int) {
    guard count > storage.count else { return }
    // The old block goes first: both at once could be more than there is.
    storage = AlignedBuffer(count: 0)
    storage = AlignedBuffer(count: count)
  }

  /// At least `count` floats, aligned to 64 bytes, of unspecified content. Valid until the next call.
  public func floats(_ count: Int) -> UnsafeMutablePointer<Float> {
    reserve(count)
    return storage.pointer
  }
}
