import CKernels

/// The windows of a pooling: kernel, stride and padding in cells, and what happens at the far edges.
public struct PoolingWindow: Equatable, Sendable {
  /// What an average is divided by.
  public enum Divisor: Sendable {
    /// The window's cells in the padded map (Caffe; PyTorch's `count_include_pad`).
    case paddedCells
    /// The window's cells in the map itself (MatConvNet).
    case mapCells
  }

  /// Extent of a window.
  public var kernelHeight: Int, kernelWidth: Int
  /// Distance of neighbouring windows.
  public var strideHeight: Int, strideWidth: Int
  /// Cells added at each edge; they never win a maximum and add nothing to an average.
  public var padTop: Int, padLeft: Int, padBottom: Int, padRight: Int
  /// Whether a last, incomplete window is kept where the stride leaves cells over (Caffe's and PyTorch's ceil mode).
  public var ceilMode: Bool

  /// Windows of any form. Padding must be smaller than the kernel, so that every window holds a cell of the map.
  public init(
    kernel: (height: Int, width: Int), stride: (height: Int, width: Int),
    padding: (top: Int, left: Int, bottom: Int, right: Int) = (0, 0, 0, 0), ceilMode: Bool = false
  ) {
    precondition(
      kernel.height > 0 && kernel.width > 0 && stride.height > 0 && stride.width > 0,
      "PoolingWindow: kernel \(kernel) and stride \(stride) must be positive")
    precondition(
      padding.top >= 0 && padding.left >= 0 && padding.bottom >= 0 && padding.right >= 0
        && max(padding.top, padding.bottom) < kernel.height
        && max(padding.left, padding.right) < kernel.width,
      "PoolingWindow: padding \(padding) must be in 0 ..< kernel \(kernel)")
    (kernelHeight, kernelWidth) = kernel
    (strideHeight, strideWidth) = stride
    (padTop, padLeft, padBottom, padRight) = padding
    self.ceilMode = ceilMode
  }

  /// Square windows with equal padding at all edges.
  public init(kernel: Int, stride: Int, padding: Int = 0, ceilMode: Bool = false) {
    self.init(
      kernel: (kernel, kernel), stride: (stride, stride),
      padding: (padding, padding, padding, padding), ceilMode: ceilMode)
  }

  /// [N, C, H, W] → [N, C, H′, W′], H′ = (H + top + bottom − kernel) / stride + 1, rounded up in ceil mode, but no
  /// window starts beyond the map and its near padding. Traps if the padded map is smaller than a window.
  public func outputShape(for input: Shape) -> Shape {
    func extent(_ size: Int, _ kernel: Int, _ stride: Int, _ before: Int, _ after: Int) -> Int {
      let rest = size + before + after - kernel
      precondition(rest >= 0, "PoolingWindow: a window of \(kernel) cells does not fit into the map \(input)")
      guard ceilMode else { return rest / stride + 1 }
      let count = (rest + stride - 1) / stride + 1
      return (count - 1) * stride >= size + before ? count - 1 : count
    }
    return Shape(
      batch: input.batch, channels: input.channels,
      height: extent(input.height, kernelHeight, strideHeight, padTop, padBottom),
      width: extent(input.width, kernelWidth, strideWidth, padLeft, padRight))
  }

  fileprivate func kernel(_ x: Tensor, _ y: Tensor, divisor: Divisor = .mapCells) -> ck_pool_t {
    precondition(
      x.layout == .blocked && y.layout == .blocked,
      "pooling: blocked maps are needed, not \(x.layout) and \(y.layout)")
    precondition(
      y.shape == outputShape(for: x.shape),
      "pooling: \(x.shape) gives \(outputShape(for: x.shape)), not \(y.shape)")
    return ck_pool_t(
      height: Int32(x.shape.height), width: Int32(x.shape.width), outHeight: Int32(y.shape.height),
      outWidth: Int32(y.shape.width), kernelHeight: Int32(kernelHeight), kernelWidth: Int32(kernelWidth),
      strideHeight: Int32(strideHeight), strideWidth: Int32(strideWidth), padTop: Int32(padTop),
      padLeft: Int32(padLeft), padBottom: Int32(padBottom), padRight: Int32(padRight),
      countPadding: divisor == .paddedCells ? 1 : 0)
  }
}

/// Maximum and average over windows of blocked maps.
public enum Pooling {
  /// y [N, C, H′, W′] = maximum over each window of x [N, C, H, W]; NaN wins.
  /// - Parameter winners: y.count numbers of the maxima in their windows, row-major, the first on ties. Hence a
  ///   window has at most 256 cells.
  public static func maximum(
    _ x: Tensor, _ window: PoolingWindow, into y: Tensor, winners: UnsafeMutablePointer<UInt8>
  ) {
    precondition(
      window.kernelHeight * window.kernelWidth <= 256,
      "Pooling.maximum: a window of \(window.kernelHeight) × \(window.kernelWidth) has more than 256 cells")
    var pool = window.kernel(x, y)
    ck_max_pool_forward(&pool, Int64(x.shape.batch * x.shape.blocks), x.pointer, y.pointer, winners)
  }

  /// dx = for each cell the sum of dy over the windows that it won; overwrites dx.
  public static func maximumBackward(
    _ dy: Tensor, winners: UnsafePointer<UInt8>, _ window: PoolingWindow, into dx: Tensor
  ) {
    var pool = window.kernel(dx, dy)
    ck_max_pool_backward(&pool, Int64(dx.shape.batch * dx.shape.blocks), dy.pointer, winners, dx.pointer)
  }

  /// y [N, C, H′, W′] = mean over each window of x [N, C, H, W].
  public static func average(
    _ x: Tensor, _ window: PoolingWindow, divisor: PoolingWindow.Divisor, into y: Tensor
  ) {
    var pool = window.kernel(x, y, divisor: divisor)
    ck_average_pool_forward(&pool, Int64(x.shape.batch * x.shape.blocks), x.pointer, y.pointer)
  }

  /// dx = for each cell the sum of dy / divisor over the windows that hold it; overwrites dx.
  public static func averageBackward(
    _ dy: Tensor, _ window: PoolingWindow, divisor: PoolingWindow.Divisor, into dx: Tensor
  ) {
    var pool = window.kernel(dx, dy, divisor: divisor)
    ck_average_pool_backward(&pool, Int64(dx.shape.batch * dx.shape.blocks), dy.pointer, dx.pointer)
  }
}
