import Networks
import Tensors

/// Keeps the maps of some filters on some images, and all logits, while a network runs over a split. Set it as the network's
/// observer.
public final class MapKeeper: LayerObserver {
  /// A filter on an image of the split.
  public struct Place: Hashable, Sendable {
    /// Position in the split.
    public let image: Int
    /// From 0.
    public let filter: Int

    /// A filter on an image.
    public init(image: Int, filter: Int) {
      self.image = image
      self.filter = filter
    }
  }

  /// After the ReLU, [height·width] row by row.
  public private(set) var rectified: [Place: [Float]] = [:]
  /// After the mask; the same as `rectified` where there is none.
  public private(set) var masked: [Place: [Float]] = [:]
  /// By image, [L].
  public private(set) var logits: [Int: [Float]] = [:]
  private let network: Network
  private let context: StepContext
  private let layer: MeasuredLayer
  private let wanted: [Int: [Int]]

  /// Will keep what is `wanted`: filters by image. `context.sampleKeys` must be the images' positions in the split.
  public init(_ network: Network, _ context: StepContext, _ layer: MeasuredLayer, wanted: [Int: [Int]]) {
    self.network = network
    self.context = context
    self.layer = layer
    self.wanted = wanted
  }

  /// Copies what is wanted.
  public func didForward(_ observed: any Layer, output: Tensor) {
    if observed === network.layers[layer.index(of: .rectified)] { keep(output) { self.rectified[$0] = $1 } }
    if observed === network.layers[layer.index(of: .masked)] { keep(output) { self.masked[$0] = $1 } }
    guard observed === network.layers.last else { return }
    for (index, key) in context.sampleKeys.enumerated() {
      let row = output.pointer + index * network.outputs
      logits[Int(key)] = (0..<network.outputs).map { row[$0] }
    }
  }

  /// Nothing.
  public func didBackward(_ layer: any Layer, inputGradient: Tensor?) {}

  private func keep(_ output: Tensor, _ store: (Place, [Float]) -> Void) {
    for (index, key) in context.sampleKeys.enumerated() {
      for filter in wanted[Int(key)] ?? [] {
        let first = output.pointer + output.offset(index, filter, 0, 0)
        store(
          Place(image: Int(key), filter: filter),
          (0..<output.shape.cells).map { first[$0 * Tensor.blockWidth] })
      }
    }
  }
}
