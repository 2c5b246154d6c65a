import Testing

@testable import Datasets
@testable import Interpretability

@Suite("FramedImage") struct FramedImageTests {
  private func picture(_ width: Int, _ height: Int) -> RGBImage {
    var image = RGBImage(width: width, height: height)
    for index in image.pixels.indices { image.pixels[index] = UInt8(index * 37 % 251) }
    return image
  }

  @Test("without a margin an image of the input's size is itself")
  func same() throws {
    let image = picture(12, 12)
    let reader = FramedImage(InputFrame(imageSize: 12, Augmentation(cropMargin: 0)))
    #expect(try reader.read(PNGEncoder.encode(image)) == image)
    #expect(reader.originalExtent == (12, 12))
  }

  @Test("with a margin it is the centre window")
  func window() throws {
    let frame = InputFrame(imageSize: 12, Augmentation(cropMargin: 0.25))
    try #require(frame.offset > 0)
    let image = picture(frame.resizedSide, frame.resizedSide)
    let window = try FramedImage(frame).read(PNGEncoder.encode(image))
    for row in 0..<12 {
      for column in 0..<12 {
        #expect(window[row, column] == image[row + frame.offset, column + frame.offset])
      }
    }
  }

  @Test("what is no image is said to be none")
  func broken() {
    #expect(throws: ImageError.self) { try FramedImage(InputFrame(imageSize: 12)).read([1, 2, 3]) }
  }
}
