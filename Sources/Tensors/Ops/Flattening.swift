import CKernels

/// Copies between the blocked and the flat layout.
public enum Flattening {
  /// Blocked x [N, C, H, W] → flat y [N, C·H·W] in the order channel, row, column; the padding is dropped.
  public static func flatten(_ x: Tensor, into y: Tensor) {
    check(blocked: x, flat: y)
    ck_blocked_to_flat(
      Int64(x.shape.batch), Int64(x.shape.channels), Int64(x.shape.cells), x.pointer, y.pointer)
  }

  /// Flat x [N, C·H·W] → blocked y [N, C, H, W]; the padding becomes zero.
  public static func unflatten(_ x: Tensor, into y: Tensor) {
    check(blocked: y, flat: x)
    ck_flat_to_blocked(
      Int64(y.shape.batch), Int64(y.shape.channels), Int64(y.shape.cells), x.pointer, y.pointer)
  }

  private static func check(blocked: Tensor, flat: Tensor) {
    precondition(
      blocked.layout == .blocked && flat.layout == .flat,
      "Flattening: between blocked and flat, not \(blocked.layout) and \(flat.layout)")
    precondition(
      blocked.shape.batch == flat.shape.batch && blocked.shape.features == flat.shape.features,
      "Flattening: \(blocked.shape) and \(flat.shape) hold different numbers of values")
  }
}
