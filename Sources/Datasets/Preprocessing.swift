/// From pixels in 0...255 to network input: (pixel - mean) · scale. Stored with a checkpoint, because a network
/// understands only what it was trained on.
public struct Preprocessing: Codable, Sendable, Equatable {
  /// What the mean is taken over.
  public enum MeanKind: String, Codable, Sendable, CaseIterable {
    /// Every pixel position of the window has its own mean, as in the authors' code.
    case pixel
    /// One mean per colour channel.
    case channel
    /// Zero.
    case none
  }

  /// Side of the network's input, in pixels.
  public var imageSize: Int
  /// What `mean` is taken over.
  public var meanKind: MeanKind
  /// 3 values, or imageSize · imageSize · 3 in the order [row, column, channel] for `.pixel`; on the scale 0...255.
  public var mean: [Float]
  /// Factor for each of the 3 channels after the mean is subtracted: 1, or 1/standard deviation.
  public var scale: [Float]

  /// Takes the given numbers; traps if the lengths of `mean` and `scale` do not fit.
  public init(imageSize: Int, meanKind: MeanKind, mean: [Float], scale: [Float]) {
    let expected = meanKind == .pixel ? imageSize * imageSize * 3 : 3
    precondition(
      imageSize > 0 && mean.count == expected && scale.count == 3,
      "Preprocessing: size \(imageSize), \(mean.count) means (expected \(expected)), \(scale.count) factors (3)"
    )
    self.imageSize = imageSize
    self.meanKind = meanKind
    self.mean = mean
    self.scale = scale
  }

  /// Mean and standard deviation of the images that `sums` were taken over.
  ///
  /// - Parameter standardize: scale by 1/standard deviation of each channel; otherwise by 1.
  public init(_ sums: ImageSums, meanKind: MeanKind, standardize: Bool = true) {
    let pixelMean = sums.pixelMeans, pixelCount = Double(sums.imageSize * sums.imageSize)
    let channelMean = (0..<3).map { c in
      stride(from: c, to: pixelMean.count, by: 3).reduce(0.0) { $0 + pixelMean[$1] } / pixelCount
    }
    let mean: [Float] =
      switch meanKind {
      case .pixel: pixelMean.map { Float($0) }
      case .channel: channelMean.map { Float($0) }
      case .none: [0, 0, 0]
      }
    // A channel that never varies (all images black) is left as it is.
    let scale = zip(sums.channelMeanSquares, channelMean).map { square, mean in
      let deviation = max(square - mean * mean, 0).squareRoot()
      return standardize && deviation > 1e-3 ? Float(1 / deviation) : 1
    }
    self.init(imageSize: sums.imageSize, meanKind: meanKind, mean: mean, scale: scale)
  }

  /// The mean of every value of the window, [imageSize, imageSize, 3].
  func meanImage() -> [Float] {
    meanKind == .pixel ? mean : (0..<(imageSize * imageSize * 3)).map { mean[$0 % 3] }
  }
}
