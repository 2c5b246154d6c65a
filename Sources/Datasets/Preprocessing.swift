import CKernels
import Tensors

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

  /// Measures mean and standard deviation over the task's training images, each counted once, in the centre window.
  ///
  /// Runs on the process's thread pool. Sums are in Double and cut into chunks by the number of images alone, so
  /// the result does not depend on the number of threads.
  ///
  /// - Parameters:
  ///   - store: images resized to the side that `augmentation` asks for; what it decodes stays cached.
  ///   - standardize: scale by 1/standard deviation of each channel; otherwise by 1.
  /// - Throws: `DatasetError.badImages` with every unusable training image.
  public static func measure(
    _ task: LearningTask, _ store: ImageStore, imageSize: Int, meanKind: MeanKind,
    augmentation: Augmentation = Augmentation(), standardize: Bool = true
  ) throws(DatasetError) -> Preprocessing {
    precondition(
      store.side == augmentation.resizedSide(imageSize: imageSize),
      "Preprocessing: images of side \(store.side), expected \(augmentation.resizedSide(imageSize: imageSize))"
    )
    let samples = Set(task.training.map(\.sample)).sorted()
    let chunkCount = min(32, samples.count)
    let values = imageSize * imageSize * 3
    let window = augmentation.centered(imageSize: imageSize)
    // Row i: the sums of chunk i, then its three sums of squares.
    let sums = AlignedBuffer<Double>(count: chunkCount * (values + 3))
    let first = sums.pointer
    var failures = [[BadImage]](repeating: [], count: chunkCount)
    failures.withUnsafeMutableBufferPointer { failures in
      parallel(chunkCount) { chunk in
        let workspace = ImageWorkspace()
        let sum = first + chunk * (values + 3)
        for i in (chunk * samples.count / chunkCount)..<((chunk + 1) * samples.count / chunkCount) {
          do throws(DatasetError) {
            try store.withImage(samples[i], workspace) {
              ck_image_accumulate(
                $0, Int64(store.side), Int64(window.x), Int64(window.y), Int64(imageSize), sum, sum + values)
            }
          } catch {
            failures[chunk] += error.badImages
          }
        }
      }
    }
    let bad = failures.flatMap { $0 }
    guard bad.isEmpty else { throw .badImages(bad) }

    for chunk in 1..<max(chunkCount, 1) {
      for i in 0..<(values + 3) { first[i] += first[chunk * (values + 3) + i] }
    }
    let imageCount = Double(samples.count), pixelCount = imageCount * Double(imageSize * imageSize)
    let channelMean = (0..<3).map { c in
      stride(from: c, to: values, by: 3).reduce(0.0) { $0 + first[$1] } / pixelCount
    }
    let deviation = (0..<3).map { c in
      max(first[values + c] / pixelCount - channelMean[c] * channelMean[c], 0).squareRoot()
    }
    let mean: [Float] =
      switch meanKind {
      case .pixel: (0..<values).map { Float(first[$0] / imageCount) }
      case .channel: channelMean.map { Float($0) }
      case .none: [0, 0, 0]
      }
    // A channel that never varies (all images black) is left as it is.
    let scale = deviation.map { standardize && $0 > 1e-3 ? Float(1 / $0) : 1 }
    return Preprocessing(imageSize: imageSize, meanKind: meanKind, mean: mean, scale: scale)
  }

  /// The mean of every value of the window, [imageSize, imageSize, 3].
  func meanImage() -> [Float] {
    meanKind == .pixel ? mean : (0..<(imageSize * imageSize * 3)).map { mean[$0 % 3] }
  }
}
