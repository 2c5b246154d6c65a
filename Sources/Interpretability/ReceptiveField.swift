import Networks
import Tensors

/// Which part of the network's input the units of a map see.
///
/// Coordinates are pixels of the input, continuous: the origin is the top-left corner of the top-left pixel, pixel
/// centres lie at +0.5, x grows to the right and y downwards. (The authors' code counts pixel centres from 1: its
/// centre c is c − 0.5 here.) Fields are not clipped: near the border they reach into the padding.
public struct ReceptiveField: Codable, Sendable, Equatable {
  /// Rows, or columns.
  public struct Axis: Codable, Sendable, Equatable {
    /// Centre of the field of the first unit, in pixels.
    public var firstCentre: Double
    /// Distance of the centres of neighbouring units, in pixels.
    public var stride: Int
    /// Extent of a field, in pixels.
    public var size: Int

    enum CodingKeys: String, CodingKey {
      case firstCentre = "first_centre"
      case stride, size
    }

    /// Centre of the field of a unit, counted from 0.
    public func centre(_ index: Int) -> Double { firstCentre + Double(stride * index) }

    /// The field of what looks at windows of these units.
    ///
    /// - Parameter padding: units added before the first one.
    func followed(kernel: Int, stride step: Int, padding: Int) -> Axis {
      Axis(
        firstCentre: firstCentre + Double(stride) * (Double(kernel - 1) / 2 - Double(padding)),
        stride: stride * step, size: size + (kernel - 1) * stride)
    }

    /// The smallest field that holds both; nil if their strides differ.
    func joined(with other: Axis) -> Axis? {
      guard stride == other.stride else { return nil }
      let first = min(firstCentre - Double(size) / 2, other.firstCentre - Double(other.size) / 2)
      let last = max(firstCentre + Double(size) / 2, other.firstCentre + Double(other.size) / 2)
      return Axis(firstCentre: (first + last) / 2, stride: stride, size: Int((last - first).rounded()))
    }
  }

  /// Where the round field of a unit lies.
  public struct Disc: Codable, Sendable, Equatable {
    /// Centre and radius, in pixels.
    public let x: Double, y: Double, radius: Double
  }

  /// Rows of the map over rows of the input.
  public var vertical: Axis
  /// Columns of the map over columns of the input.
  public var horizontal: Axis

  /// The field of the input's own pixels: centre 0.5, stride 1, size 1.
  public static let pixels = ReceptiveField(
    vertical: Axis(firstCentre: 0.5, stride: 1, size: 1),
    horizontal: Axis(firstCentre: 0.5, stride: 1, size: 1))

  /// Centre of the field of the unit in a row and column of the map, in pixels.
  public func centre(row: Int, column: Int) -> (x: Double, y: Double) {
    (horizontal.centre(column), vertical.centre(row))
  }

  /// The disc inside the field of a unit: same centre, the smaller extent as its diameter. What units see falls off
  /// towards the corners of the square (Luo et al., NIPS 2016), and figures in papers draw it round.
  public func disc(row: Int, column: Int) -> Disc {
    let centre = centre(row: row, column: column)
    return Disc(x: centre.x, y: centre.y, radius: Double(min(horizontal.size, vertical.size)) / 2)
  }

  /// The field of units of a convolution or pooling over these units.
  public func followed(
    kernel: (height: Int, width: Int), stride: (height: Int, width: Int), padding: (top: Int, left: Int)
  ) -> ReceptiveField {
    ReceptiveField(
      vertical: vertical.followed(kernel: kernel.height, stride: stride.height, padding: padding.top),
      horizontal: horizontal.followed(kernel: kernel.width, stride: stride.width, padding: padding.left))
  }

  /// The same for square windows.
  public func followed(kernel: Int, stride: Int = 1, padding: Int = 0) -> ReceptiveField {
    followed(kernel: (kernel, kernel), stride: (stride, stride), padding: (padding, padding))
  }

  /// The field of a layer's units over these, or nil where units have no place any more (flatten, linear layers) or
  /// the layer does not tell.
  ///
  /// Batch and response normalisation look at other images or channels, but not at other places. A mask depends on
  /// the whole map through its centre; that is not counted.
  public func followed(by layer: any Layer, input: Shape) -> ReceptiveField? {
    switch layer {
    case let convolution as Convolution:
      let geometry = convolution.geometry
      return followed(
        kernel: (geometry.kernelHeight, geometry.kernelWidth),
        stride: (geometry.strideHeight, geometry.strideWidth),
        padding: (geometry.padding.top, geometry.padding.left))
    case let pooling as MaxPooling: return followed(pooling.window)
    case let pooling as AveragePooling:
      guard let window = pooling.window else {
        return followed(kernel: (input.height, input.width), stride: (1, 1), padding: (0, 0))
      }
      return followed(window)
    case is ReLU, is BatchNormalization, is LocalResponseNormalization, is Dropout, is InterpretableMask:
      return self
    case let block as Residual:
      guard let body = followed(by: block.body, input: input),
        let shortcut = followed(by: block.shortcut, input: input)
      else { return nil }
      return body.joined(with: shortcut)
    case let block as DenseBlock: return followed(by: block, input: input)
    default: return nil
    }
  }

  /// The smallest field that holds those of the maps of all slices: every normalisation sees all slices below it.
  private func followed(by block: DenseBlock, input: Shape) -> ReceptiveField? {
    var (field, newest) = (self, self)
    var shape = input
    for layer in block.parts {
      if layer is DenseNormalization {
        guard let joined = field.joined(with: newest) else { return nil }
        (field, newest) = (joined, joined)
      } else {
        guard let next = newest.followed(by: layer, input: shape) else { return nil }
        newest = next
      }
      shape = layer.outputShape(for: shape)
    }
    return field
  }

  /// The field of a chain's units over these.
  private func followed(by chain: [any Layer], input: Shape) -> ReceptiveField? {
    var field = self
    var shape = input
    for layer in chain {
      guard let next = field.followed(by: layer, input: shape) else { return nil }
      field = next
      shape = layer.outputShape(for: shape)
    }
    return field
  }

  /// The smallest field that holds the fields of two paths to the same units; nil if their strides differ.
  private func joined(with other: ReceptiveField) -> ReceptiveField? {
    guard let vertical = vertical.joined(with: other.vertical),
      let horizontal = horizontal.joined(with: other.horizontal)
    else { return nil }
    return ReceptiveField(vertical: vertical, horizontal: horizontal)
  }

  private func followed(_ window: PoolingWindow) -> ReceptiveField {
    followed(
      kernel: (window.kernelHeight, window.kernelWidth), stride: (window.strideHeight, window.strideWidth),
      padding: (window.padTop, window.padLeft))
  }

  /// The field of the units of layer `index` of a network.
  ///
  /// - Throws: `unknownGeometry` naming the first layer that has none.
  public static func of(layer index: Int, in network: Network) throws(InterpretabilityError) -> ReceptiveField
  {
    var field = pixels
    var shape = network.inputShape
    for layer in network.layers[...index] {
      guard let next = field.followed(by: layer, input: shape) else {
        throw .unknownGeometry(layer: layer.name, kind: "\(type(of: layer))")
      }
      field = next
      shape = layer.outputShape(for: shape)
    }
    return field
  }
}
