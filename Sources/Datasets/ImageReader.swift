import Tensors

/// Single files as network input, prepared as the images of a validation split are.
public final class ImageReader {
  private let preprocessing: Preprocessing
  private let side: Int
  private let window: Augmentation.Draw
  private let mean: [Float]
  private let workspace = ImageWorkspace()

  /// A reader for a network that was trained with this preprocessing and these changes of images.
  public init(_ preprocessing: Preprocessing, _ augmentation: Augmentation) {
    self.preprocessing = preprocessing
    side = augmentation.resizedSide(imageSize: preprocessing.imageSize)
    window = augmentation.centered(imageSize: preprocessing.imageSize)
    mean = preprocessing.meanImage()
    workspace.resized = [Float](repeating: 0, count: side * side * 3)
  }

  /// Extent of the image that was read last, in pixels, turned as a camera's note says.
  public var extent: (width: Int, height: Int) { (workspace.image.width, workspace.image.height) }

  /// Reads a JPEG or PNG file into the first image of `input`, [N, 3, imageSize, imageSize], interleaved.
  ///
  /// - Throws: `DatasetError.unreadable` if it is not there, `.badImages` if it is no image.
  public func read(_ path: String, into input: Tensor) throws(DatasetError) {
    precondition(
      input.layout == .interleaved && input.shape.height == preprocessing.imageSize
        && input.shape.width == preprocessing.imageSize,
      "ImageReader: a tensor of \(input.shape), images of \(preprocessing.imageSize) pixels")
    try readFile(path, into: &workspace.file)
    do throws(ImageError) {
      try workspace.decoder.decode(workspace.file, into: &workspace.image)
    } catch {
      throw .badImages([BadImage(path: path, reason: error.description)])
    }
    workspace.resized.withUnsafeMutableBufferPointer {
      workspace.resizer.resize(workspace.image, width: side, height: side, into: $0.baseAddress!)
      preprocessing.apply(window, to: $0.baseAddress!, side: side, mean: mean, into: input.pointer)
    }
  }
}
