import CKernels
import Tensors

/// The gradient of a linear layer's weights as its factors: dW = dyᵀ·x over all images of a global batch.
///
/// W is most of some networks, and its gradient as large. Where the update is the only one to read it, backward keeps x and
/// dy instead, some thousand floats per image, and the update makes each piece of dW when it needs it, in the caches
/// (docs/adr/0017-updates-by-factors.md). Ranks that share memory keep the images of all of them in one place, and each makes the pieces
/// of its share: sums over the images in the order of the global batch, so that any number of ranks gets the same bits.
public struct GradientFactors {
  /// Most images of a global batch for which this is faster than writing dW.
  public static let largestBatch = 64

  private let inputs: Int, outputs: Int
  private let capacity: Int
  private let x: UnsafeMutablePointer<Float>
  private let dy: UnsafeMutablePointer<Float>

  /// Floats for the factors of W [outputs, inputs] and a batch of up to `images`; a multiple of 16.
  static func count(inputs: Int, outputs: Int, images: Int) -> Int {
    (images * (Int(ck_linear_factor_inputs(Int64(inputs))) + outputs) + 15) / 16 * 16
  }

  init(inputs: Int, outputs: Int, images: Int, memory: UnsafeMutablePointer<Float>) {
    self.inputs = inputs
    self.outputs = outputs
    capacity = images
    x = memory
    dy = memory + images * Int(ck_linear_factor_inputs(Int64(inputs)))
  }

  /// Keeps flat x [N, inputs] and dy [N, outputs] of this rank's share of a global batch.
  func keep(x: Tensor, dy: Tensor, _ context: StepContext) {
    let batch = x.shape.batch
    precondition(
      context.shareOffset + batch <= context.globalBatchSize && context.globalBatchSize <= capacity,
      "images \(context.shareOffset) to \(context.shareOffset + batch) of \(context.globalBatchSize), room for \(capacity)"
    )
    var extent = ck_linear_t(batch: Int64(batch), inputs: Int64(inputs), outputs: Int64(outputs))
    var factors = factors(of: context.globalBatchSize)
    ck_linear_keep_factors(&extent, x.pointer, dy.pointer, Int64(context.shareOffset), &factors)
  }

  /// One step of momentum SGD for a part of W, after all ranks have kept their images.
  /// - Returns: whether all gradients were finite.
  func update(
    _ range: Range<Int>, values: UnsafeMutablePointer<Float>, velocities: UnsafeMutablePointer<Float>,
    learningRate: Float, momentum: Float, weightDecay: Float, images: Int
  ) -> Bool {
    var update = ck_linear_update_t(
      inputs: Int64(inputs), outputs: Int64(outputs), first: Int64(range.lowerBound),
      count: Int64(range.count), values: values, velocities: velocities, learningRate: learningRate,
      momentum: momentum, weightDecay: weightDecay)
    var factors = factors(of: images)
    return ck_linear_update(&update, &factors) != 0
  }

  private func factors(of batch: Int) -> ck_linear_factors_t {
    ck_linear_factors_t(batch: Int64(batch), x: x, dy: dy)
  }
}
