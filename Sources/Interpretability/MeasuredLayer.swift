import Networks
import Tensors

/// The convolution whose filters are measured, and where in the network its maps can be seen.
///
/// By default the last convolution: in an interpretable network the new one above the pre-trained ones, in an ordinary
/// network the top one, which is what the paper compares. A block of a network with skip connections counts as one: its
/// maps are the sums that it gives, rectified at each point they are taken.
public struct MeasuredLayer: Sendable, Equatable {
  /// At which point the maps of the filters are taken.
  public enum Feature: String, Codable, Sendable, CaseIterable {
    /// Before the ReLU, after a batch normalisation: what the authors' code measures location instability on.
    case preactivation
    /// After the ReLU, before the mask.
    case rectified
    /// After the mask where one follows the ReLU, otherwise after the ReLU: x of the paper's section 5.
    case masked
  }

  /// Name of the convolution.
  public let name: String
  /// F, the number of filters.
  public let filterCount: Int
  /// Extent of a map, in cells.
  public let height: Int, width: Int
  /// Where the units look.
  public let field: ReceptiveField
  /// Categories that filters may belong to: the first so many, or all if nil. In single-category training the category
  /// alone, unless the options give filters to counter-examples too.
  public let ownedCategories: Int?
  /// β of the templates of the network's masks; the paper's 4 in a network without.
  public let beta: Double

  private let convolution: Int
  private let preactivation: Int
  private let rectified: Int
  private let masked: Int

  /// Cells of a map.
  public var cells: Int { height * width }

  /// Finds the layer in a network.
  ///
  /// - Parameter name: a convolution, or an interpretable mask, which means the convolution before it; nil: the last
  ///   convolution.
  /// - Throws: `unknownLayer`, `noMaps`, `unknownGeometry`, `mapTooLarge`.
  public init(_ network: Network, named name: String? = nil) throws(InterpretabilityError) {
    let layers = network.layers
    let convolutions = layers.indices.filter { layers[$0] is Convolution || !layers[$0].parts.isEmpty }
    guard let last = convolutions.last else { throw .noMaps(network: network.name) }
    var index = last
    if let name {
      guard let named = layers.firstIndex(where: { $0.name == name }),
        convolutions.contains(named) || layers[named] is InterpretableMask,
        let convolution = convolutions.last(where: { $0 <= named })
      else { throw .unknownLayer(name: name, known: convolutions.map { layers[$0].name }) }
      index = convolution
    }
    var next = index
    if next + 1 < layers.count, layers[next + 1] is BatchNormalization { next += 1 }
    let preactivation = next
    if next + 1 < layers.count, layers[next + 1] is ReLU { next += 1 }
    let rectified = next
    if next + 1 < layers.count, layers[next + 1] is InterpretableMask { next += 1 }
    convolution = index
    self.preactivation = preactivation
    self.rectified = rectified
    masked = next

    self.name = layers[index].name
    field = try ReceptiveField.of(layer: index, in: network)
    let shape = layers[...index].reduce(network.inputShape) { $1.outputShape(for: $0) }
    filterCount = shape.channels
    height = shape.height
    width = shape.width
    let options = network.interpretableLayers.first?.options
    ownedCategories = network.outputs == 1 && options?.negativeFilters != true ? 1 : nil
    beta = options?.beta ?? InterpretableOptions().beta
    guard shape.cells <= FilterRecords.mostCells else {
      throw .mapTooLarge(layer: self.name, height: shape.height, width: shape.width)
    }
  }

  /// Index in `Network.layers` of the layer whose output is that feature.
  public func index(of feature: Feature) -> Int {
    switch feature {
    case .preactivation: preactivation
    case .rectified: rectified
    case .masked: masked
    }
  }
}
