import Foundation
import Testing

@testable import Datasets

@Suite struct ImageResizerTests {
  struct Golden: Decodable {
    struct Matrix: Decodable {
      let shape: [Int]
      let data: [Double]
    }
    struct Case: Decodable {
      let input: Matrix, output: Matrix
    }
    let cases: [Case]
  }

  func resize(_ image: RGBImage, _ width: Int, _ height: Int, _ resizer: ImageResizer = ImageResizer())
    -> [Float]
  {
    var output = [Float](repeating: .nan, count: width * height * 3)
    resizer.resize(image, width: width, height: height, into: &output)
    return output
  }

  @Test func goldenCases() throws {
    let url = try #require(Bundle.module.url(forResource: "Samples/derived_resize", withExtension: "json"))
    let golden = try JSONDecoder().decode(Golden.self, from: Data(contentsOf: url))
    #expect(golden.cases.count == 3)
    let resizer = ImageResizer()
    for item in golden.cases {
      var image = RGBImage(width: item.input.shape[1], height: item.input.shape[0])
      // Green holds the negative, so that a mix-up of channels would show.
      image.pixels = item.input.data.flatMap { [UInt8($0), UInt8(255 - $0), 17] }
      let output = resize(image, item.output.shape[1], item.output.shape[0], resizer)
      let largest = item.output.data.max()!
      for (i, expected) in item.output.data.enumerated() {
        #expect(abs(Double(output[3 * i]) - expected) <= 2e-6 * largest)
        #expect(abs(Double(output[3 * i + 1]) - (255 - expected)) <= 2e-6 * 255)
        #expect(abs(output[3 * i + 2] - 17) <= 2e-6 * 17)
      }
    }
  }

  /// The definition as it stands, in Double, one output at a time.
  func reference(_ image: RGBImage, _ width: Int, _ height: Int) -> [Double] {
    func weights(_ inputs: Int, _ outputs: Int, _ o: Int) -> [(index: Int, weight: Double)] {
      let s = Double(outputs) / Double(inputs), k = min(s, 1)
      let u = Double(o + 1) / s + 0.5 * (1 - 1 / s)
      var list: [(index: Int, weight: Double)] = []
      for i in Int(u - 1 / k) - 2...Int(u + 1 / k) + 2 {
        let period = 2 * inputs, m = ((i - 1) % period + period) % period
        list.append((m < inputs ? m : period - 1 - m, k * max(0, 1 - k * abs(u - Double(i)))))
      }
      let sum = list.reduce(0) { $0 + $1.weight }
      return list.map { ($0.index, $0.weight / sum) }
    }
    var output: [Double] = []
    for y in 0..<height {
      let rows = weights(image.height, height, y)
      for x in 0..<width {
        let columns = weights(image.width, width, x)
        for c in 0..<3 {
          output.append(
            rows.reduce(0) { sum, row in
              columns.reduce(sum) {
                $0 + row.weight * $1.weight
                  * Double(image.pixels[(row.index * image.width + $1.index) * 3 + c])
              }
            })
        }
      }
    }
    return output
  }

  @Test(arguments: [(1, 1, 4, 4), (1, 7, 5, 3), (2, 3, 9, 9), (31, 17, 8, 8), (40, 2, 3, 3), (6, 50, 6, 1)])
  func followsTheDefinition(width: Int, height: Int, newWidth: Int, newHeight: Int) {
    let image = patternImage(width: width, height: height)
    let output = resize(image, newWidth, newHeight)
    for (value, expected) in zip(output, reference(image, newWidth, newHeight)) {
      #expect(abs(Double(value) - expected) <= 2e-6 * 255)
    }
  }

  @Test func sameExtentIsIdentity() {
    let image = patternImage(width: 9, height: 5)
    #expect(resize(image, 9, 5) == image.pixels.map { Float($0) })
  }

  @Test func buffersServeImagesOfAnyExtent() {
    let resizer = ImageResizer()
    for (width, height) in [(8, 8), (30, 4), (3, 20), (8, 8)] {
      let image = patternImage(width: width, height: height)
      #expect(resize(image, 6, 6, resizer) == resize(image, 6, 6))
    }
  }
}
