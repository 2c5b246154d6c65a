/// The extent of a batch of feature maps: [N, C, H, W], whatever the order in memory.
public struct Shape: Equatable, Sendable, CustomStringConvertible {
  /// N, the number of images (0 is allowed: a rank may hold no image of a short batch).
  public var batch: Int
  /// C, the number of channels, without padding.
  public var channels: Int
  /// H and W, the extent of one map, in cells.
  public var height: Int, width: Int

  /// [batch, channels, height, width]; all positive, except that the batch may be 0.
  public init(batch: Int, channels: Int, height: Int, width: Int) {
    precondition(
      batch >= 0 && channels > 0 && height > 0 && width > 0,
      "Shape: [\(batch), \(channels), \(height), \(width)] has an empty extent")
    self.batch = batch
    self.channels = channels
    self.height = height
    self.width = width
  }

  /// [batch, features]: one cell, the features as channels.
  public init(batch: Int, features: Int) {
    self.init(batch: batch, channels: features, height: 1, width: 1)
  }

  /// C/16 rounded up: blocks of channels in the blocked layout.
  public var blocks: Int { (channels + Tensor.blockWidth - 1) / Tensor.blockWidth }
  /// H·W, cells of one map.
  public var cells: Int { height * width }
  /// C·H·W, values of one image.
  public var features: Int { channels * cells }
  /// The same maps for another number of images.
  public func with(batch: Int) -> Shape {
    Shape(batch: batch, channels: channels, height: height, width: width)
  }

  /// "[N, C, H, W]".
  public var description: String { "[\(batch), \(channels), \(height), \(width)]" }
}
