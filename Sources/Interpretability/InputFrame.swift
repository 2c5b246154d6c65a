import Datasets

/// How places in a stored image become places in the network's input, as validation images are prepared: the whole
/// image is resized to a square, whatever its proportions, and the centre window is cut.
public struct InputFrame: Sendable, Equatable {
  /// Side of the resized image, in pixels.
  public let resizedSide: Int
  /// Pixels cut off on the left and at the top.
  public let offset: Int
  /// Side of the input, in pixels.
  public let side: Int

  /// The frame of inputs of `imageSize` pixels; of the augmentation only the margin matters.
  public init(imageSize: Int, _ augmentation: Augmentation = Augmentation()) {
    side = imageSize
    resizedSide = augmentation.resizedSide(imageSize: imageSize)
    offset = augmentation.centreOffset(imageSize: imageSize)
  }

  /// Length of the input's diagonal, in pixels.
  public var diagonal: Double { Double(side) * 2.0.squareRoot() }

  /// From a coordinate of an image to the input; both continuous.
  func toInput(_ coordinate: Double, extent: Int) -> Double {
    coordinate / Double(extent) * Double(resizedSide) - Double(offset)
  }

  /// From an input pixel's centre to the image.
  func toImage(_ pixel: Int, extent: Int) -> Double {
    (Double(pixel + offset) + 0.5) / Double(resizedSide) * Double(extent)
  }

  /// From a coordinate of the input to the image; both continuous.
  func toImage(_ coordinate: Double, extent: Int) -> Double {
    (coordinate + Double(offset)) / Double(resizedSide) * Double(extent)
  }
}
