import Tensors

/// A convolution to be tested, chosen for a border of the kernels rather than for its use.
public struct ConvolutionCase: Sendable, CustomStringConvertible {
  /// What is special about it.
  public let title: String
  /// Channels, kernel, stride, padding, groups.
  public let geometry: ConvolutionGeometry
  /// [N, C, H, W].
  public let input: Shape
  /// Layout of the input.
  public let layout: Layout

  init(
    _ title: String, _ batch: Int, _ inputs: Int, _ extent: (Int, Int), to outputs: Int, kernel: (Int, Int),
    stride: (Int, Int) = (1, 1), padding: ConvolutionGeometry.Padding = .init(0), groups: Int = 1,
    _ layout: Layout = .blocked
  ) {
    self.title = title
    geometry = ConvolutionGeometry(
      inputChannels: inputs, outputChannels: outputs, kernel: kernel, stride: stride, padding: padding,
      groups: groups)
    input = Shape(batch: batch, channels: inputs, height: extent.0, width: extent.1)
    self.layout = layout
  }

  /// The title.
  public var description: String { title }
  /// [N, O, H′, W′].
  public var output: Shape { geometry.outputShape(for: input) }

  /// The ways to compute it: the direct sum, and Winograd's where they fit.
  public var algorithms: [ConvolutionAlgorithm] {
    [.direct]
      + [.winograd4, .winograd6].filter { algorithm in
        ConvolutionPass.allCases.allSatisfy {
          geometry.algorithm($0, input: input, layout, algorithm) == algorithm
        }
      }
  }

  /// Every case with every way to compute it.
  public static let allAlgorithms: [(ConvolutionCase, ConvolutionAlgorithm)] =
    all.flatMap { convolution in convolution.algorithms.map { (convolution, $0) } }

  /// All of them.
  public static let all: [ConvolutionCase] = [
    .init("one cell", 2, 16, (1, 1), to: 40, kernel: (1, 1)),
    .init("kernel larger than the map", 2, 3, (2, 2), to: 33, kernel: (5, 5), padding: .init(2)),
    .init("one channel", 1, 1, (7, 9), to: 1, kernel: (3, 3), padding: .init(1)),
    .init("17 channels, odd extents", 1, 17, (3, 15), to: 33, kernel: (3, 3), padding: .init(1)),
    .init("full tiles and a tail", 1, 3, (2, 31), to: 80, kernel: (1, 3), padding: .init(1)),
    .init("short rows, many blocks", 1, 2, (7, 7), to: 112, kernel: (3, 3), padding: .init(1)),
    .init("rows of four, many blocks", 1, 16, (4, 4), to: 144, kernel: (2, 2)),
    .init("stride 3, kernel 2: unseen cells", 2, 5, (11, 10), to: 18, kernel: (2, 2), stride: (3, 3)),
    .init("stride 2, last row unseen", 1, 20, (6, 8), to: 17, kernel: (3, 3), stride: (2, 2)),
    .init(
      "asymmetric padding, stride 2", 2, 6, (7, 8), to: 20, kernel: (3, 3), stride: (2, 2),
      padding: .init(top: 1, bottom: 0, left: 2, right: 1)),
    .init(
      "padding beyond the kernel", 1, 4, (3, 3), to: 5, kernel: (2, 2), stride: (2, 2), padding: .init(5)),
    .init("pointwise", 3, 33, (7, 5), to: 20, kernel: (1, 1)),
    .init("pointwise, stride 2", 2, 18, (7, 6), to: 20, kernel: (1, 1), stride: (2, 2)),
    .init("pointwise, padded", 1, 18, (3, 4), to: 20, kernel: (1, 1), padding: .init(1)),
    .init(
      "row kernel, stride (2, 1)", 2, 7, (6, 9), to: 10, kernel: (1, 5), stride: (2, 1),
      padding: .init(top: 0, bottom: 0, left: 2, right: 2)),
    .init("column kernel, stride (1, 3)", 1, 7, (9, 10), to: 18, kernel: (4, 1), stride: (1, 3)),
    .init("wide rows", 1, 2, (2, 150), to: 3, kernel: (3, 3), padding: .init(1)),
    .init("many cells: a batch in parts", 3, 1, (21, 40), to: 2, kernel: (3, 3), padding: .init(1)),
    .init("many input channels: sums in chunks", 1, 150, (2, 3), to: 16, kernel: (3, 3), padding: .init(1)),
    .init("many output channels: sums in chunks", 1, 16, (2, 3), to: 150, kernel: (3, 3), padding: .init(1)),
    .init("two groups of one block", 2, 32, (3, 4), to: 32, kernel: (3, 3), padding: .init(1), groups: 2),
    .init(
      "three groups of two blocks to one", 1, 96, (3, 5), to: 48, kernel: (2, 3), stride: (2, 1), groups: 3),
    .init("two groups of 24, expanded", 1, 48, (4, 5), to: 16, kernel: (3, 3), padding: .init(1), groups: 2),
    .init("depthwise, expanded", 1, 17, (5, 4), to: 34, kernel: (3, 3), padding: .init(1), groups: 17),
    .init(
      "image, 11 × 11, stride 4", 1, 3, (23, 35), to: 18, kernel: (11, 11), stride: (4, 4), padding: .init(2),
      .interleaved),
    .init("image, 3 × 3", 2, 3, (3, 33), to: 36, kernel: (3, 3), padding: .init(1), .interleaved),
    .init("image of one channel", 2, 1, (9, 8), to: 17, kernel: (5, 4), stride: (1, 2), .interleaved),
    .init(
      "image of 16 channels", 1, 16, (5, 6), to: 16, kernel: (3, 3), stride: (2, 2),
      padding: .init(top: 2, bottom: 1, left: 0, right: 3), .interleaved),
    .init("image, pointwise", 2, 5, (4, 4), to: 6, kernel: (1, 1), .interleaved),
    .init(
      "image, kernel larger than the map", 1, 2, (2, 1), to: 3, kernel: (5, 7), padding: .init(3),
      .interleaved),
    .init("tiles that end with the map", 1, 16, (8, 12), to: 32, kernel: (3, 3), padding: .init(1)),
    .init("tiles beyond the map", 3, 33, (13, 7), to: 20, kernel: (3, 3), padding: .init(1)),
    .init("3 × 3 without padding", 2, 16, (10, 9), to: 16, kernel: (3, 3)),
    .init(
      "3 × 3, asymmetric padding", 1, 18, (6, 9), to: 17, kernel: (3, 3),
      padding: .init(top: 2, bottom: 0, left: 1, right: 2)),
    .init(
      "more tiles than a chunk, parts of the batch", 3, 16, (50, 45), to: 16, kernel: (3, 3),
      padding: .init(1)),
    .init("5 × 5", 2, 20, (9, 11), to: 33, kernel: (5, 5), padding: .init(2)),
    .init("5 × 5 without padding", 1, 16, (8, 6), to: 18, kernel: (5, 5)),
    .init("no image", 0, 20, (5, 5), to: 18, kernel: (3, 3), padding: .init(1)),
    .init("no interleaved image", 0, 3, (5, 5), to: 18, kernel: (3, 3), padding: .init(1), .interleaved),
  ]
}
