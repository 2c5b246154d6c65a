import Foundation
import Testing

@testable import Interpretability

@Suite("ImageResolutionField") struct ImageResolutionFieldTests {
  /// The value of an enlarged map at a pixel, from the definition: hat functions around the centres of the cells.
  private func value(_ map: [Float], _ height: Int, _ width: Int, _ side: Int, _ y: Int, _ x: Int) -> Double {
    func weight(_ pixel: Int, _ cell: Int, _ cells: Int) -> Double {
      let place = (Double(pixel) + 0.5) / Double(side) * Double(cells) - 0.5
      return max(0, 1 - abs(min(max(place, 0), Double(cells - 1)) - Double(cell)))
    }
    var sum = 0.0
    for row in 0..<height {
      for column in 0..<width {
        sum += weight(y, row, height) * weight(x, column, width) * Double(map[row * width + column])
      }
    }
    return sum
  }

  @Test(
    "pixels are those whose enlarged value exceeds the threshold",
    arguments: [(3, 3, 20), (1, 1, 5), (4, 2, 7)])
  func oracle(height: Int, width: Int, side: Int) {
    let map = (0..<height * width).map { Float(($0 * 7 + 3) % 11) }
    for threshold: Float in [-1, 2.7, 5.3, 8.1, 100] {
      let field = ImageResolutionField(map: map, height: height, width: width, side: side, above: threshold)
      var count = 0
      for y in 0..<side {
        for x in 0..<side {
          let isAbove = value(map, height, width, side, y, x) > Double(threshold)
          #expect(field.pixels[y * side + x] == isAbove)
          count += isAbove ? 1 : 0
        }
      }
      #expect(field.area == count)
    }
  }

  @Test("the size is that of the disc of the same area, over images with any")
  func diameter() {
    let whole = ImageResolutionField(map: [1], height: 1, width: 1, side: 10, above: 0)
    let none = ImageResolutionField(map: [1], height: 1, width: 1, side: 10, above: 1)
    #expect(abs(whole.equivalentDiameter - 2 * (100 / Double.pi).squareRoot()) < 1e-12)
    #expect(ImageResolutionField.meanDiameter([whole, none]) == whole.equivalentDiameter)
    #expect(ImageResolutionField.meanDiameter([none]) == nil)
  }
}
