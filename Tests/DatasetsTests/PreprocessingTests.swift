import CKernels
import Foundation
import Tensors
import Testing

@testable import Datasets

@Suite struct PreprocessingTests {
  let folder: ImageFolder
  let task: LearningTask
  let size = 5
  let augmentation = Augmentation(cropMargin: 0.4)

  init() throws {
    var files: [String: [UInt8]] = [:]
    for (c, name) in ["a", "b"].enumerated() {
      for i in 0..<20 {
        let image = patternImage(width: 6 + i % 4, height: 7 + i % 3, variant: 50 * c + i)
        files["images/\(name)/\(100 + i).png"] = PNGEncoder.encode(image)
      }
    }
    folder = try ImageFolder(named: "set", files: files)
    // Repeated positives must not weigh more in the mean.
    task = try LearningTask(.singleCategory("a"), on: folder)
  }

  var store: ImageStore { ImageStore(folder, side: augmentation.resizedSide(imageSize: size)) }

  func measure(_ kind: Preprocessing.MeanKind, standardize: Bool = true) throws -> Preprocessing {
    Preprocessing(
      try ImageSums(task, store, imageSize: size, augmentation: augmentation), meanKind: kind,
      standardize: standardize)
  }

  /// The centre windows of all training images, by plain loops.
  func windows() throws -> [[Double]] {
    let side = augmentation.resizedSide(imageSize: size)
    #expect(side == 7)
    return try folder.samples.filter { $0.split == .training }.map { sample in
      var file: [UInt8] = []
      try folder.read(sample.path, into: &file)
      var resized = [Float](repeating: 0, count: side * side * 3)
      ImageResizer().resize(try ImageDecoder().decode(file), width: side, height: side, into: &resized)
      return (0..<(size * size * 3)).map { i in
        let (y, x, c) = (i / (size * 3), i / 3 % size, i % 3)
        return Double(resized[((y + 1) * side + x + 1) * 3 + c])
      }
    }
  }

  @Test func meansAndDeviationsAgreeWithPlainLoops() throws {
    let windows = try windows()
    #expect(windows.count == 36)
    let pixelMean = (0..<75).map { i in windows.reduce(0) { $0 + $1[i] } / 36 }
    let channelMean = (0..<3).map { c in stride(from: c, to: 75, by: 3).reduce(0) { $0 + pixelMean[$1] } / 25
    }
    let scale = (0..<3).map { c in
      let squares = windows.flatMap { window in
        stride(from: c, to: 75, by: 3).map { (window[$0] - channelMean[c]) * (window[$0] - channelMean[c]) }
      }
      return 1 / (squares.reduce(0, +) / Double(squares.count)).squareRoot()
    }
    func isClose(_ a: [Float], _ b: [Double]) -> Bool {
      a.count == b.count && zip(a, b).allSatisfy { abs(Double($0) - $1) <= 1e-6 * abs($1) }
    }
    let pixel = try measure(.pixel), channel = try measure(.channel),
      none = try measure(.none, standardize: false)
    #expect(isClose(pixel.mean, pixelMean) && isClose(pixel.scale, scale))
    #expect(isClose(channel.mean, channelMean) && isClose(channel.scale, scale))
    #expect(none.mean == [0, 0, 0] && none.scale == [1, 1, 1])
    #expect(channel.meanImage() == (0..<75).map { channel.mean[$0 % 3] } && pixel.meanImage() == pixel.mean)
  }

  /// Inside another parallel loop the measurement runs on one thread.
  @Test func doesNotDependOnTheNumberOfThreads() throws {
    let many = try measure(.pixel)
    nonisolated(unsafe) var one: Preprocessing?
    parallel(2) { i in
      if i == 0 { one = try? measure(.pixel) }
    }
    #expect(one == many)
  }

  @Test func unusableImagesAreAllNamed() throws {
    var files: [String: [UInt8]] = [:]
    for sample in folder.samples { try folder.read(sample.path, into: &files[sample.path, default: []]) }
    for name in ["a/101", "b/105"] { files["images/\(name).png"] = [1, 2, 3] }
    let broken = try ImageFolder(named: "set", files: files)
    let error = datasetError {
      _ = try ImageSums(
        LearningTask(.multiCategory, on: broken), ImageStore(broken, side: 5), imageSize: 5)
    }
    #expect(error?.badImages.map(\.path) == ["images/a/101.png", "images/b/105.png"])
  }

  @Test func survivesCoding() throws {
    let pixel = try measure(.pixel)
    #expect(try JSONDecoder().decode(Preprocessing.self, from: JSONEncoder().encode(pixel)) == pixel)
  }

  /// The kernel's result for one window of an image [side, side, 3], and its pixels.
  private func normalized(
    _ window: ck_window, size: Int, side: Int, _ color: ck_color_change? = nil, mean: [Float],
    scale: [Float] = [1, 1, 1]
  ) -> (output: [Float], source: [Float]) {
    let source = (0..<(side * side * 3)).map { Float($0 * 7 % 256) }
    var output = [Float](repeating: .nan, count: size * size * 3)
    func run(_ color: UnsafePointer<ck_color_change>?) {
      ck_image_normalize(source, Int64(side), window, Int64(size), color, mean, scale, &output)
    }
    if let color { withUnsafePointer(to: color) { run($0) } } else { run(nil) }
    return (output, source)
  }

  @Test(arguments: [false, true], [Float(1), 1.5]) func kernelCutsFlipsAndNormalises(
    isFlipped: Bool, gain: Float
  ) {
    let side = 6, size = 4, x0 = 2, y0 = 1
    let mean = (0..<(size * size * 3)).map { Float($0) }, scale: [Float] = [0.5, 2, -1]
    let color = ck_color_change(matrix: (gain, 0, 0, 0, gain, 0, 0, 0, gain), offset: 0)
    let (output, source) = normalized(
      ck_window(x: Float(x0), y: Float(y0), side: Float(size), flip: isFlipped ? 1 : 0), size: size,
      side: side, gain == 1 ? nil : color, mean: mean, scale: scale)
    for y in 0..<size {
      for x in 0..<size {
        for c in 0..<3 {
          let from = isFlipped ? size - 1 - x : x
          let value = min(255, source[((y + y0) * side + from + x0) * 3 + c] * gain)
          let i = (y * size + x) * 3 + c
          #expect(output[i] == (value - mean[i]) * scale[c])
        }
      }
    }
  }

  @Test func kernelMixesColors() {
    // Channels exchanged and lifted: what leaves 0...255 is clamped.
    let color = ck_color_change(matrix: (0, 1, 0, 0, 0, 2, 0.5, 0, 0), offset: -20)
    let (output, source) = normalized(
      ck_window(x: 0, y: 0, side: 5, flip: 0), size: 5, side: 5, color,
      mean: [Float](repeating: 0, count: 75))
    for pixel in 0..<25 {
      let (r, g, b) = (source[3 * pixel], source[3 * pixel + 1], source[3 * pixel + 2])
      let expected = [g - 20, 2 * b - 20, 0.5 * r - 20].map { min(max($0, 0), 255) }
      #expect(Array(output[(3 * pixel)..<(3 * pixel + 3)]) == expected)
    }
    #expect(output.contains(0) && output.contains(255))
  }

  @Test(arguments: [
    ck_window(x: 0, y: 0, side: 9, flip: 0), ck_window(x: 1.25, y: 2.5, side: 5, flip: 0),
    ck_window(x: 0.5, y: 3.75, side: 4.4, flip: 1), ck_window(x: 4, y: 0.1, side: 5, flip: 1),
  ]) func kernelResizesWindows(window: ck_window) {
    let side = 9, size = 5
    let (output, source) = normalized(
      window, size: size, side: side, mean: [Float](repeating: 0, count: size * size * 3))
    /// Between the two nearest centres, the border repeated.
    func taps(_ start: Float, _ o: Int) -> [(index: Int, weight: Double)] {
      let u = min(
        max(Double(start) + (Double(o) + 0.5) * Double(window.side) / Double(size) - 0.5, 0),
        Double(side - 1))
      let low = Int(u)
      return [(low, 1 - (u - Double(low))), (min(low + 1, side - 1), u - Double(low))]
    }
    for y in 0..<size {
      for x in 0..<size {
        for c in 0..<3 {
          var expected = 0.0
          for row in taps(window.y, y) {
            for column in taps(window.x, window.flip != 0 ? size - 1 - x : x) {
              expected +=
                row.weight * column.weight * Double(source[(row.index * side + column.index) * 3 + c])
            }
          }
          #expect(abs(Double(output[(y * size + x) * 3 + c]) - expected) < 1e-2)
        }
      }
    }
  }
}
