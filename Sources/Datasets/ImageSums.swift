import CKernels
import Tensors

/// Sums over the training images of a task, each counted once, in the centre window: what mean and standard deviation
/// follow from.
///
/// Values are whole multiples of 1/65536 of a grey level, so that sums are exact: the same bits on any number of threads
/// and ranks, in any order.
public struct ImageSums: Sendable {
  /// Side of the window, in pixels.
  public let imageSize: Int
  /// Images that the sums of all ranks are over.
  public let imageCount: Int
  /// Whole numbers: the sum of each value of the window, [imageSize, imageSize, 3], then the nine digits of the squares
  /// (see `ck_image_accumulate`). Added up over the ranks they are those of all images.
  public var values: [Double]

  /// Adds up a rank's share of the images, on the process's thread pool.
  ///
  /// - Parameter store: images resized to the side that `augmentation` asks for; what it decodes stays cached.
  /// - Throws: `DatasetError.badImages` with every unusable image of the share, or `.otherFiles`.
  public init(
    _ task: LearningTask, _ store: ImageStore, imageSize: Int, augmentation: Augmentation = Augmentation(),
    rank: Int = 0, rankCount: Int = 1
  ) throws(DatasetError) {
    precondition(
      store.side == augmentation.resizedSide(imageSize: imageSize),
      "ImageSums: images of side \(store.side), expected \(augmentation.resizedSide(imageSize: imageSize))")
    let all = Set(task.training.map(\.sample)).sorted()
    let samples = all[ShardedSampler.share(of: all.count, rank: rank, rankCount: rankCount)]
    self.imageSize = imageSize
    imageCount = all.count
    let chunkCount = min(32, samples.count)
    let values = imageSize * imageSize * 3, stride = values + 9
    let window = augmentation.centered(imageSize: imageSize)
    let sums = AlignedBuffer<Double>(count: max(chunkCount, 1) * stride)
    let first = sums.pointer
    var failures = [[BadImage]](repeating: [], count: chunkCount)
    var otherFiles = [[BadImage]](repeating: [], count: chunkCount)
    failures.withUnsafeMutableBufferPointer { failures in
      otherFiles.withUnsafeMutableBufferPointer { otherFiles in
        parallel(chunkCount) { chunk in
          let workspace = ImageWorkspace()
          let sum = first + chunk * stride
          let begin = samples.startIndex + chunk * samples.count / chunkCount
          for sample in samples[begin..<samples.startIndex + (chunk + 1) * samples.count / chunkCount] {
            do throws(DatasetError) {
              try store.withImage(sample, workspace) {
                ck_image_accumulate(
                  $0, Int64(store.side), Int64(window.x), Int64(window.y), Int64(imageSize), sum, sum + values
                )
              }
            } catch {
              if case .otherFiles(let images) = error {
                otherFiles[chunk] += images
              } else {
                failures[chunk] += error.badImages
              }
            }
          }
        }
      }
    }
    let other = otherFiles.flatMap { $0 }, bad = failures.flatMap { $0 }
    guard other.isEmpty else { throw .otherFiles(other) }
    guard bad.isEmpty else { throw .badImages(bad) }
    self.values = (0..<stride).map { i in
      (0..<max(chunkCount, 1)).reduce(0.0) { $0 + first[$1 * stride + i] }
    }
  }

  private static let unit = 65536.0

  /// The mean of every value of the window, 0...255.
  var pixelMeans: [Double] {
    values.prefix(imageSize * imageSize * 3).map { $0 / (Self.unit * Double(imageCount)) }
  }

  /// The mean of each channel's squares.
  var channelMeanSquares: [Double] {
    let digits = values.suffix(9), pixelCount = Double(imageCount) * Double(imageSize * imageSize)
    return (0..<3).map { c in
      let square = (0..<3).reversed().reduce(0.0) { $0 * 1_048_576 + digits[digits.startIndex + 3 * c + $1] }
      return square / (Self.unit * Self.unit) / pixelCount
    }
  }
}
