/// Scratch memory that operations share: it grows to what the largest of them wants and then stays.
///
/// Its content means nothing between two operations, so one object serves all layers of a network.
public final class Workspace {
  private var storage = AlignedBuffer<Float>(count: 0)

  /// An empty workspace.
  public init() {}

  /// Floats it holds now.
  public var count: Int { storage.count }

  /// At least `count` floats, aligned to 64 bytes, of unspecified content. Valid until the next call.
  public func floats(_ count: Int) -> UnsafeMutablePointer<Float> {
    if count > storage.count { storage = AlignedBuffer(count: count) }
    return storage.pointer
  }
}
