import CKernels
import Tensors

/// Random changes of training images: which window is cut and how large it is, mirroring, colours.
///
/// Every draw is a function of (seed, epoch, position in the epoch's global order), so it does not depend on ranks,
/// threads or on where a training was resumed. Evaluation takes the centre window, unchanged.
public struct Augmentation: Codable, Sendable, Equatable {
  /// Mirror every second image left to right.
  public var horizontalFlip: Bool
  /// Images are resized to round(imageSize · (1 + cropMargin)), from which a window is cut.
  public var cropMargin: Float
  /// The window's side is imageSize times a factor from [1 - scaleJitter, 1 + scaleJitter), at most the whole image;
  /// what was cut is resized to imageSize. 0 does nothing.
  public var scaleJitter: Float
  /// Saturation, contrast and brightness are each multiplied by a factor from [1 - colorJitter, 1 + colorJitter), and
  /// values clamped to 0...255; 0 does nothing.
  public var colorJitter: Float

  /// Defaults change nothing.
  public init(
    horizontalFlip: Bool = false, cropMargin: Float = 0, scaleJitter: Float = 0, colorJitter: Float = 0
  ) {
    precondition(
      (0...1).contains(cropMargin) && (0...1).contains(colorJitter) && (0..<1).contains(scaleJitter),
      "Augmentation: cropMargin \(cropMargin) and colorJitter \(colorJitter) must lie in 0...1, scaleJitter "
        + "\(scaleJitter) in 0..<1")
    self.horizontalFlip = horizontalFlip
    self.cropMargin = cropMargin
    self.scaleJitter = scaleJitter
    self.colorJitter = colorJitter
  }

  /// Side in pixels of the resized image from which the windows are cut.
  public func resizedSide(imageSize: Int) -> Int {
    Int((Float(imageSize) * (1 + cropMargin)).rounded())
  }

  /// Pixels left out on each side of the resized image in the centre window; rounded down.
  public func centreOffset(imageSize: Int) -> Int { (resizedSide(imageSize: imageSize) - imageSize) / 2 }

  /// What happens to one image.
  struct Draw: Equatable {
    /// Top-left corner and side of the window, in pixels of the resized image.
    var x: Float = 0, y: Float = 0
    var side: Float
    var isFlipped = false
    var saturation: Float = 1, contrast: Float = 1, brightness: Float = 1
  }

  /// The centre window.
  func centered(imageSize: Int) -> Draw {
    let offset = Float(centreOffset(imageSize: imageSize))
    return Draw(x: offset, y: offset, side: Float(imageSize))
  }

  /// What happens to the image at a position of an epoch's global order. The numbers are always drawn in the same
  /// order, so that switching one option leaves the others' draws alone.
  func draw(seed: UInt64, epoch: Int, position: Int, imageSize: Int) -> Draw {
    var random = RandomSource(seed: seed, purpose: .augmentation, UInt64(epoch), UInt64(position))
    let whole = resizedSide(imageSize: imageSize)
    let corner = (x: random.uniform(), y: random.uniform())
    var draw = Draw(side: Float(imageSize))
    draw.isFlipped = random.uniform() < 0.5 && horizontalFlip
    func factor(_ jitter: Float) -> Float {
      let u = random.uniform()
      return jitter == 0 ? 1 : 1 + jitter * (2 * u - 1)
    }
    draw.brightness = factor(colorJitter)
    draw.contrast = factor(colorJitter)
    draw.saturation = factor(colorJitter)
    draw.side = min(Float(imageSize) * factor(scaleJitter), Float(whole))
    if scaleJitter == 0 {
      // Whole pixels: nothing is interpolated.
      let margin = whole - imageSize
      draw.x = Float(min(Int(corner.x * Float(margin + 1)), margin))
      draw.y = Float(min(Int(corner.y * Float(margin + 1)), margin))
    } else {
      draw.x = corner.x * (Float(whole) - draw.side)
      draw.y = corner.y * (Float(whole) - draw.side)
    }
    return draw
  }
}

extension Augmentation.Draw {
  /// As the kernel takes it.
  var window: ck_window { ck_window(x: x, y: y, side: side, flip: isFlipped ? 1 : 0) }

  /// v → brightness · (contrast · (w - 127.5) + 127.5) with w = saturation · v + (1 - saturation) · luminance of v
  /// (ITU-R BT.601); nil if nothing changes.
  var colorChange: ck_color_change? {
    guard saturation != 1 || contrast != 1 || brightness != 1 else { return nil }
    let gain = brightness * contrast
    let grey = (
      red: 0.299 * gain * (1 - saturation), green: 0.587 * gain * (1 - saturation),
      blue: 0.114 * gain * (1 - saturation)
    )
    let own = gain * saturation
    return ck_color_change(
      matrix: (
        grey.red + own, grey.green, grey.blue, grey.red, grey.green + own, grey.blue, grey.red, grey.green,
        grey.blue + own
      ), offset: brightness * 127.5 * (1 - contrast))
  }
}

extension Preprocessing {
  /// Cuts the drawn window from a resized image [side, side, 3] and turns it into network input,
  /// [imageSize, imageSize, 3].
  ///
  /// - Parameter mean: `meanImage()`, made once.
  func apply(
    _ draw: Augmentation.Draw, to pixels: UnsafePointer<Float>, side: Int, mean: [Float],
    into output: UnsafeMutablePointer<Float>
  ) {
    func normalize(_ color: UnsafePointer<ck_color_change>?) {
      ck_image_normalize(pixels, Int64(side), draw.window, Int64(imageSize), color, mean, scale, output)
    }
    if let color = draw.colorChange { withUnsafePointer(to: color) { normalize($0) } } else { normalize(nil) }
  }
}
