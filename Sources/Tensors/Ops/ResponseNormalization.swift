import CKernels

/// Normalisation of a value by its neighbours in other channels: s_c = kappa + alpha · Σ x_d² over |d − c| ≤ radius,
/// y_c = x_c · s_c^−beta, at every cell of blocked maps [N, C, H, W].
public struct ResponseNormalization: Equatable, Sendable {
  /// Channels to each side of the window; the window has 2·radius + 1.
  public var radius: Int
  /// Constants of the formula; alpha multiplies the plain sum of squares.
  public var kappa: Float, alpha: Float, beta: Float

  /// Traps unless 0 ≤ radius ≤ 16 and kappa > 0.
  public init(radius: Int, kappa: Float, alpha: Float, beta: Float) {
    precondition(
      (0...16).contains(radius) && kappa > 0, "ResponseNormalization: radius \(radius), kappa \(kappa)")
    self.radius = radius
    self.kappa = kappa
    self.alpha = alpha
    self.beta = beta
  }

  private func kernel(_ x: Tensor, _ y: Tensor) -> ck_lrn_t {
    precondition(
      x.layout == .blocked && y.layout == .blocked && x.shape == y.shape,
      "ResponseNormalization: blocked maps of one shape are needed, not \(x.shape) and \(y.shape)")
    precondition(
      x.shape.blocks <= Int(CK_LRN_MAX_BLOCKS),
      "ResponseNormalization: \(x.shape.channels) channels are too many")
    return ck_lrn_t(
      batch: Int64(x.shape.batch), blocks: Int64(x.shape.blocks), cells: Int64(x.shape.cells),
      half: Int32(radius), kappa: kappa, alpha: alpha, beta: beta)
  }

  /// y = x · s^−beta.
  public func forward(_ x: Tensor, into y: Tensor) {
    var lrn = kernel(x, y)
    ck_lrn_forward(&lrn, x.pointer, y.pointer)
  }

  /// dx_c = dy_c·s_c^−beta − 2·alpha·beta·x_c · Σ dy_d·x_d·s_d^(−beta−1) over |d − c| ≤ radius.
  public func backward(_ x: Tensor, _ dy: Tensor, into dx: Tensor) {
    precondition(dy.shape == x.shape, "ResponseNormalization: dy \(dy.shape) for x \(x.shape)")
    var lrn = kernel(x, dx)
    ck_lrn_backward(&lrn, x.pointer, dy.pointer, dx.pointer)
  }
}
