import Tensors

/// A published network: its name, what it was trained with, and how to build it.
public struct Architecture: Sendable {
  /// Name on the command line.
  public let name: String
  /// Side of the square input that it was published for, in pixels.
  public let imageSize: Int
  /// Smallest input side whose maps do not vanish.
  public let smallestImageSize: Int
  /// Highest learning rate for batches of 32 to 128 images.
  public let learningRate: Double
  /// L2 decay.
  public let weightDecay: Double
  /// Probability that dropout silences a unit.
  public let dropout: Float
  /// Passes over the training images.
  public var epochs = 30
  /// Random sizes of training windows: a factor from [1 − this, 1 + this).
  public var scaleJitter: Double = 0
  /// Random brightness, contrast and saturation of training images: factors from [1 − this, 1 + this).
  public var colorJitter: Double = 0
  let assemble: @Sendable (inout NetworkBuilder) -> Void

  /// All architectures, in the order in which they are listed to users.
  public static let all: [Architecture] = [
    .compact, .alexNet, .caffeAlexNet, .vggM, .vggS, .vgg16, .resNet18, .resNet50,
    .denseNet121,
  ]

  /// The architecture of that name, or nil.
  public static func named(_ name: String) -> Architecture? { all.first { $0.name == name } }

  /// Builds the network; its parameters are zero until `Network.initialize`.
  ///
  /// - Parameter arenas: see `ParameterStore`.
  public func build(
    _ options: NetworkOptions, arenas: ParameterArenas.Source = ParameterArenas.Source()
  ) -> Network {
    let builder = layers(options)
    let network = Network(
      name: name, inputShape: builder.inputShape, layers: builder.layers, arenas: arenas)
    network.fuseRectifiers()
    return network
  }

  /// The first convolution whose width does not divide into the network's groups; nil if a network of these widths can be
  /// built.
  package func indivisibleLayer(widths: [String: Int]) -> String? {
    let convolutions = layers(NetworkOptions(outputs: 2)).layers.compactMap { $0 as? Convolution }
    let groups = convolutions.map(\.geometry.groups).max() ?? 1
    return convolutions.map(\.name).first { (widths[$0] ?? groups) % groups != 0 }
  }

  /// The layers, whose parameters have no memory yet.
  package func layers(_ options: NetworkOptions) -> NetworkBuilder {
    let size = options.imageSize ?? imageSize
    precondition(
      size >= smallestImageSize,
      "\(name): images of \(size) pixels; at least \(smallestImageSize) are needed")
    let input = Shape(batch: 1, channels: 3, height: size, width: size)
    var builder = NetworkBuilder(input: input, options, defaultDropout: dropout)
    assemble(&builder)
    return builder
  }
}
