import CKernels
import Tensors

/// One mask per image and filter, and its product with a batch of maps: the stage that both formulations share.
///
/// mask[i, j] = max(1 − slope·(rowStep·|i − row| + columnStep·|j − column|), −1) with a centre per image and filter,
/// a slope per filter (0: no mask), times `scale` in the product. With `passesMaps` the product is with 1 instead, and the
/// mask is only the template of the filter loss.
/// Kept per image and filter, in blocks of 16 filters: [N, C/16, 16].
final class TemplateMask {
  /// [1, C, H, W] of the maps.
  let shape: Shape
  /// Filters with padding.
  let lanes: Int
  /// Weight of a row's and a column's distance.
  var rowStep: Float = 0, columnStep: Float = 0
  /// Factor on the mask in the product.
  var scale: Float = 1
  /// Slope per filter.
  let slopes: AlignedBuffer<Float>
  /// True: y = max(x, 0), whatever the mask.
  var passesMaps = false
  /// Row and column of the centres, from 0.
  private(set) var rows = AlignedBuffer<Float>(count: 0)
  private(set) var columns = AlignedBuffer<Float>(count: 0)
  /// Maximum of each map.
  private(set) var maxima = AlignedBuffer<Float>(count: 0)
  /// The filter loss's gradient as multiples of the mask and of 1.
  private(set) var along = AlignedBuffer<Float>(count: 0)
  private(set) var constant = AlignedBuffer<Float>(count: 0)
  private let noSlopes: AlignedBuffer<Float>
  private var capacity = 0

  init(_ shape: Shape) {
    self.shape = shape.with(batch: 1)
    lanes = shape.blocks * Tensor.blockWidth
    slopes = AlignedBuffer(count: lanes)
    noSlopes = AlignedBuffer(count: lanes)
  }

  /// Makes room for as many images as x may ever hold, and checks that x fits.
  func prepare(for x: Tensor) {
    precondition(
      x.shape.with(batch: 1) == shape && x.layout == .blocked,
      "TemplateMask: blocked maps of shape \(shape) expected, found \(x.shape), \(x.layout)")
    guard x.capacity > capacity else { return }
    capacity = x.capacity
    rows = AlignedBuffer(count: capacity * lanes)
    columns = AlignedBuffer(count: capacity * lanes)
    maxima = AlignedBuffer(count: capacity * lanes)
    along = AlignedBuffer(count: capacity * lanes)
    constant = AlignedBuffer(count: capacity * lanes)
  }

  /// What it keeps of a batch, in bytes.
  func keptBytes(images: Int) -> Int { 5 * images * lanes * MemoryLayout<Float>.stride }

  /// Extent of x as the kernels take it.
  func maps(of x: Tensor) -> ck_maps_t {
    ck_maps_t(
      images: Int64(x.shape.batch), blocks: Int64(shape.blocks), height: Int64(shape.height),
      width: Int64(shape.width))
  }

  /// The mask as the kernels take it.
  var kernelMask: ck_mask_t {
    ck_mask_t(
      row: rows.pointer, column: columns.pointer, slope: slopes.pointer, rowStep: rowStep,
      columnStep: columnStep, scale: scale)
  }

  /// What maps are multiplied with: the mask, or 1.
  var product: ck_mask_t {
    var mask = kernelMask
    if passesMaps { mask.slope = UnsafePointer(noSlopes.pointer) }
    return mask
  }

  /// y = max(x ∘ mask, 0).
  func forward(_ x: Tensor, into y: Tensor) { ck_mask_forward(x.pointer, maps(of: x), product, y.pointer) }

  /// dy → dx in place: dx = dy ∘ max(mask, 0), plus along·mask/scale + constant if the filter loss acts.
  ///
  /// - Parameter activeOnly: no gradient passes from dy where x ≤ 0 (the derivative of max(x∘mask, 0)).
  func backward(_ x: Tensor, _ d: Tensor, activeOnly: Bool, addingFilterGradient: Bool) {
    precondition(!(passesMaps && addingFilterGradient), "TemplateMask: multiples of a mask that is none")
    ck_mask_backward(
      x.pointer, d.pointer, maps(of: x), product, addingFilterGradient ? along.pointer : nil,
      addingFilterGradient ? constant.pointer : nil, activeOnly ? 1 : 0)
  }

  /// gradient = along·mask/scale + constant, as x.
  func writeFilterGradient(_ x: Tensor, into gradient: UnsafeMutablePointer<Float>) {
    gradient.update(repeating: 0, count: x.values.count)
    ck_mask_backward(x.pointer, gradient, maps(of: x), kernelMask, along.pointer, constant.pointer, 0)
  }
}
