import TestSupport
import Testing

@testable import Datasets
@testable import Interpretability

@Suite("Pictures") struct PictureTests {
  private func image(_ width: Int, _ height: Int, _ value: UInt8) -> RGBImage {
    var image = RGBImage(width: width, height: height)
    image.pixels = Array(repeating: value, count: image.pixels.count)
    return image
  }

  @Test("a region keeps its pixels, its edge is drawn, everything else is darker")
  func highlight() {
    var picture = image(6, 5, 100)
    // Rows 1...3, columns 2...4: one pixel inside.
    let region = (0..<30).map { (1...3).contains($0 / 6) && (2...4).contains($0 % 6) }
    picture.highlight(region, edge: (1, 2, 3), dimming: 0.5)
    for row in 0..<5 {
      for column in 0..<6 {
        let expected: RGBImage.Color =
          !region[row * 6 + column] ? (50, 50, 50) : (row, column) == (2, 3) ? (100, 100, 100) : (1, 2, 3)
        #expect(picture[row, column] == expected, "\(row), \(column)")
      }
    }
  }

  @Test(
    "a ring has its radius and stays in the image", arguments: [(10.0, 10.0), (0, 0), (-50, 3), (25, 19.5)])
  func ring(x: Double, y: Double) {
    var picture = image(20, 20, 0)
    picture.ring(x: x, y: y, radius: 6, thickness: 2, (9, 9, 9))
    for row in 0..<20 {
      for column in 0..<20 {
        let (dx, dy) = (Double(column) + 0.5 - x, Double(row) + 0.5 - y)
        let isOn = abs((dx * dx + dy * dy).squareRoot() - 6) <= 1
        #expect((picture[row, column] == (9, 9, 9)) == isOn)
      }
    }
  }

  @Test("numbers are readable, and moved into the image", arguments: [(0, 0), (30, 30), (-5, 2)])
  func number(x: Int, y: Int) {
    var picture = image(16, 12, 77)
    picture.number(17, x: x, y: y, dotSide: 1, (255, 255, 255))
    let lit = (0..<12 * 16).filter { picture[$0 / 16, $0 % 16] == (255, 255, 255) }
    let (top, left) = (min(max(0, y), 5), min(max(0, x), 7))
    // "1" and "7", 3×5 dots each, a dot of ground around them.
    let dots = [" #  ###", "##    #", " #   # ", " #   # ", "###  # "]
    let expected = dots.enumerated().flatMap { row, line in
      line.enumerated().filter { $0.element == "#" }.map { (top + 1 + row) * 16 + left + 1 + $0.offset }
    }
    #expect(lit == expected.sorted())
  }

  @Test("pictures in a row keep their pixels, with a grey gap")
  func row() {
    let result = RGBImage.row([image(2, 3, 10), image(1, 1, 20)], gap: 1)
    #expect((result.width, result.height) == (4, 3))
    #expect(result[2, 1] == (10, 10, 10) && result[0, 3] == (20, 20, 20))
    #expect(result[0, 2] == (128, 128, 128) && result[1, 3] == (128, 128, 128))
  }

  @Test("colours grow lighter with the number, and any number has one")
  func colors() {
    let lightness = { (value: Float) -> Float in
      let color = ColorMap.color(value)
      return 0.2126 * Float(color.red) + 0.7152 * Float(color.green) + 0.0722 * Float(color.blue)
    }
    let levels = (0...32).map { lightness(Float($0) / 32) }
    for (a, b) in zip(levels, levels.dropFirst()) { #expect(b > a) }
    #expect(ColorMap.color(0) == (0x44, 0x01, 0x54) && ColorMap.color(1) == (0xfd, 0xe7, 0x25))
    #expect(ColorMap.color(7) == ColorMap.color(1) && ColorMap.color(-.infinity) == ColorMap.color(0))
    #expect(ColorMap.color(.nan) == ColorMap.color(0))
  }

  @Test("a map is drawn cell by cell; one without any activation is dark")
  func map() {
    let picture = RGBImage.map([0, 1, 2, 4, 0, 0], height: 2, width: 3, cellSide: 2, highest: 4)
    #expect((picture.width, picture.height) == (6, 4))
    #expect(picture[2, 0] == ColorMap.color(1) && picture[3, 1] == ColorMap.color(1))
    #expect(picture[1, 4] == ColorMap.color(0.5) && picture[0, 1] == ColorMap.color(0))
    let silent = RGBImage.map([0, 0], height: 1, width: 2, cellSide: 1, highest: 0)
    #expect(silent[0, 0] == ColorMap.color(0) && silent[0, 1] == ColorMap.color(0))
  }

  @Test("the average of windows, each where it lies inside its image; grey where none did")
  func averagePart() {
    var average = AveragePart(side: 4)
    #expect(average.image.pixels.allSatisfy { $0 == 128 })
    // Only the window's lower right quarter is inside.
    average.add(image(10, 10, 200), x: 0, y: 0)
    average.add(image(10, 10, 100), x: 5, y: 5)
    average.add(image(3, 3, 7), x: 50, y: -50)
    #expect(average.count == 3)
    let result = average.image
    #expect(result[0, 0] == (100, 100, 100) && result[1, 3] == (100, 100, 100))
    #expect(result[2, 2] == (150, 150, 150) && result[3, 3] == (150, 150, 150))
  }

  @Test("a template is 1 at the first peak, falls by 2β/n of its half range per cell, and ends at 0")
  func template() {
    var map = [Float](repeating: 0, count: 36)
    map[8] = 3
    map[20] = 3
    let template = MaskPicture.template(for: map, side: 6, beta: 4)
    for cell in 0..<36 {
      let distance = abs(cell / 6 - 1) + abs(cell % 6 - 2)
      #expect(abs(template[cell] - Float((max(1 - 4 * Double(distance) / 6, -1) + 1) / 2)) < 1e-6)
    }
    let three = MaskPicture.draw(map: map, masked: map, side: 6, beta: 4, cellSide: 3)
    let two = MaskPicture.draw(map: map, masked: map, side: 6, beta: nil, cellSide: 3)
    #expect((three.width, two.width, two.height) == (3 * 18 + 4, 2 * 18 + 2, 18))
  }
}
