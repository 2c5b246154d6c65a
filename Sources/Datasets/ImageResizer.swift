import CKernels

/// Antialiased bilinear resizing, as documented for MATLAB's imresize(…, 'bilinear'), which the authors of
/// interpretable CNNs used; the image's proportions are not kept.
///
/// Separable. With s = outputs/inputs and k = min(s, 1), output o (from 1) looks at u = o/s + (1 - 1/s)/2 with the
/// triangle weights k·max(0, 1 - k·|u - i|) over inputs i, normalised to sum 1; borders are mirrored with the edge
/// repeated. Values are not rounded.
public final class ImageResizer {
  private var scratch: [Float] = []
  private var rows = Resampling(inputs: 1, outputs: 1)
  private var columns = Resampling(inputs: 1, outputs: 1)

  /// A resizer with empty buffers; one thread uses it at a time.
  public init() {}

  /// Writes `image` as [height, width, 3] Floats in 0...255 to `output`.
  public func resize(_ image: RGBImage, width: Int, height: Int, into output: UnsafeMutablePointer<Float>) {
    precondition(width > 0 && height > 0, "ImageResizer: empty extent \(width) x \(height)")
    if rows.inputs != image.height || rows.outputs != height {
      rows = Resampling(inputs: image.height, outputs: height)
    }
    if columns.inputs != image.width || columns.outputs != width {
      columns = Resampling(inputs: image.width, outputs: width)
    }
    let scratchCount = 3 * image.width + 1
    if scratch.count < scratchCount { scratch = [Float](repeating: 0, count: scratchCount) }
    image.pixels.withUnsafeBufferPointer { pixels in
      scratch.withUnsafeMutableBufferPointer { scratch in
        rows.withKernelArgument { rows in
          columns.withKernelArgument { columns in
            ck_image_resize(pixels.baseAddress, rows, columns, scratch.baseAddress, output)
          }
        }
      }
    }
  }
}

/// The weights of one axis: output o is the sum over t < taps of weights[o·taps + t] · input[start[o] + t].
struct Resampling {
  let inputs: Int, outputs: Int
  private(set) var taps = 1
  private(set) var start: [Int32] = []
  private(set) var weights: [Float] = []

  init(inputs: Int, outputs: Int) {
    self.inputs = inputs
    self.outputs = outputs
    let s = Double(outputs) / Double(inputs)
    let k = min(s, 1)
    // Mirroring folds every input that the triangle reaches onto a real one, so a window of this many is enough.
    taps = min(inputs, Int((2 / k).rounded(.up)) + 1)
    start.reserveCapacity(outputs)
    weights.reserveCapacity(outputs * taps)
    var window = [Double](repeating: 0, count: taps)
    for o in 1...outputs {
      let u = Double(o) / s + 0.5 * (1 - 1 / s)
      let lower = Int((u - 1 / k).rounded(.up)), upper = Int((u + 1 / k).rounded(.down))
      let first = min(max(lower, 1), inputs - taps + 1)
      for t in 0..<taps { window[t] = 0 }
      for i in lower...max(lower, upper) {
        let folded = ((i - 1) % (2 * inputs) + 2 * inputs) % (2 * inputs)
        let real = folded < inputs ? folded + 1 : 2 * inputs - folded
        window[real - first] += max(0, 1 - k * abs(u - Double(i)))
      }
      let sum = window.reduce(0, +)
      start.append(Int32(first - 1))
      for weight in window { weights.append(Float(weight / sum)) }
    }
  }

  func withKernelArgument<R>(_ body: (UnsafePointer<ck_resampling>) -> R) -> R {
    start.withUnsafeBufferPointer { start in
      weights.withUnsafeBufferPointer { weights in
        var argument = ck_resampling(
          inputs: Int64(inputs), outputs: Int64(outputs), taps: Int64(taps), start: start.baseAddress,
          weights: weights.baseAddress)
        return body(&argument)
      }
    }
  }
}
