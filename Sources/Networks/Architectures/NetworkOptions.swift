import Tensors

/// What a network is built for, beside its architecture.
public struct NetworkOptions: Sendable {
  /// L, the number of logits.
  public var outputs: Int
  /// Side of the square input, in pixels; nil: the architecture's own.
  public var imageSize: Int?
  /// Masks and filter loss of the interpretable layers; nil: the ordinary network.
  public var interpretable: InterpretableOptions?
  /// Probability that dropout silences a unit; nil: the architecture's own.
  public var dropout: Float?
  /// Batch-norm statistics over the global batch; otherwise over each rank's share.
  public var synchronizedBatchNormalization = true
  /// The lower layers will be loaded: new layers are drawn from N(0, 0.01²), as in the paper.
  public var startsFromPretrained = false
  /// How convolutions are computed.
  public var convolutionAlgorithm = ConvolutionAlgorithm.automatic
  /// Every hidden channel count is divided by it (rounded up to a multiple of 16): small networks for tests.
  public var widthDivisor = 1
  /// Whether those counts are rounded up; false for files of networks that were made narrow elsewhere.
  var roundsWidths = true
  /// Output channels of hidden layers by name, where they are not the published ones: networks that were built or
  /// pruned narrower elsewhere. Any positive number; of a convolution in groups, a multiple of their number.
  public var widths: [String: Int] = [:]

  /// An ordinary network of published width unless changed.
  public init(outputs: Int, imageSize: Int? = nil, interpretable: InterpretableOptions? = nil) {
    self.outputs = outputs
    self.imageSize = imageSize
    self.interpretable = interpretable
  }
}
