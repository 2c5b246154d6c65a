import Tensors

/// Random changes of training images: where the window is cut, mirroring, brightness.
///
/// Every draw is a function of (seed, epoch, position in the epoch's global order), so it does not depend on ranks,
/// threads or on where a training was resumed. Evaluation takes the centre window, unmirrored.
public struct Augmentation: Codable, Sendable, Equatable {
  /// Mirror every second image left to right.
  public var horizontalFlip: Bool
  /// Images are resized to round(imageSize · (1 + cropMargin)), from which a window of imageSize is cut.
  public var cropMargin: Float
  /// Values are multiplied by a factor from [1 - brightness, 1 + brightness) and clamped to 0...255; 0 does nothing.
  public var brightness: Float

  /// Defaults change nothing.
  public init(horizontalFlip: Bool = false, cropMargin: Float = 0, brightness: Float = 0) {
    precondition(
      (0...1).contains(cropMargin) && (0...1).contains(brightness),
      "Augmentation: cropMargin \(cropMargin) and brightness \(brightness) must lie in 0...1")
    self.horizontalFlip = horizontalFlip
    self.cropMargin = cropMargin
    self.brightness = brightness
  }

  /// Side in pixels of the resized image from which a window of `imageSize` is cut.
  public func resizedSide(imageSize: Int) -> Int {
    Int((Float(imageSize) * (1 + cropMargin)).rounded())
  }

  /// What happens to one image.
  struct Draw: Equatable {
    /// Top-left corner of the window.
    var x = 0, y = 0
    var isFlipped = false
    var gain: Float = 1
  }

  /// The centre window.
  func centered(imageSize: Int) -> Draw {
    let offset = (resizedSide(imageSize: imageSize) - imageSize) / 2
    return Draw(x: offset, y: offset)
  }

  /// What happens to the image at a position of an epoch's global order. The numbers are always drawn in the same
  /// order, so that switching one option leaves the others' draws alone.
  func draw(seed: UInt64, epoch: Int, position: Int, imageSize: Int) -> Draw {
    var random = RandomSource(seed: seed, purpose: .augmentation, UInt64(epoch), UInt64(position))
    let margin = resizedSide(imageSize: imageSize) - imageSize
    let u = (random.uniform(), random.uniform(), random.uniform(), random.uniform())
    return Draw(
      x: min(Int(u.0 * Float(margin + 1)), margin), y: min(Int(u.1 * Float(margin + 1)), margin),
      isFlipped: horizontalFlip && u.2 < 0.5,
      gain: brightness == 0 ? 1 : 1 + brightness * (2 * u.3 - 1))
  }
}
