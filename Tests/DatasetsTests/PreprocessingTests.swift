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
    try Preprocessing.measure(
      task, store, imageSize: size, meanKind: kind, augmentation: augmentation, standardize: standardize)
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
      _ = try Preprocessing.measure(
        try LearningTask(.multiCategory, on: broken), ImageStore(broken, side: 5), imageSize: 5,
        meanKind: .channel)
    }
    #expect(error?.badImages.map(\.path) == ["images/a/101.png", "images/b/105.png"])
  }

  @Test func survivesCoding() throws {
    let pixel = try measure(.pixel)
    #expect(try JSONDecoder().decode(Preprocessing.self, from: JSONEncoder().encode(pixel)) == pixel)
  }

  @Test(arguments: [false, true], [Float(1), 1.5]) func kernelCutsFlipsAndNormalises(
    isFlipped: Bool, gain: Float
  ) {
    let side = 6, size = 4, x0 = 2, y0 = 1
    let source = (0..<(side * side * 3)).map { Float($0 * 7 % 256) }
    let mean = (0..<(size * size * 3)).map { Float($0) }, scale: [Float] = [0.5, 2, -1]
    var output = [Float](repeating: .nan, count: size * size * 3)
    ck_image_normalize(
      source, Int64(side), Int64(x0), Int64(y0), Int64(size), isFlipped ? 1 : 0, gain, mean, scale, &output)
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
}
