import Datasets
import Networks
import Tensors

/// Looks over the network's shoulder in the first batch of a validation: some images and what some filters of the
/// topmost convolutional stage see in them. The images and filters are the same in every validation.
final class FeatureMapSampler: LayerObserver {
  private static let imageLimit = 4
  private static let filterLimit = 8
  private static let side = 96

  /// Name of the watched layer: the highest interpretable one, or the highest convolution.
  let layer: String
  /// Indices of the shown filters, spread evenly.
  let filters: [Int]
  private let firstLayer: String
  private let preprocessing: Preprocessing
  private var imageCount = 0
  private var images: [Float] = []
  private var maps: [Float] = []
  private var extent = 0

  /// Nil if the network has nothing to show: no convolution with maps as high as wide.
  init?(_ network: Network, _ preprocessing: Preprocessing) {
    var shape = network.inputShape
    var candidates: [(layer: any Layer, shape: Shape)] = []
    for layer in network.layers {
      shape = layer.outputShape(for: shape)
      candidates.append((layer, shape))
    }
    let interpretable = candidates.last { $0.layer is InterpretableMask }
    guard
      let chosen = interpretable
        ?? candidates.last(where: { $0.layer is Convolution || !$0.layer.parts.isEmpty }),
      let first = network.layers.first, chosen.shape.height == chosen.shape.width
    else { return nil }
    let count = min(Self.filterLimit, chosen.shape.channels)
    layer = chosen.layer.name
    filters = (0..<count).map { $0 * chosen.shape.channels / count }
    firstLayer = first.name
    self.preprocessing = preprocessing
  }

  func willForward(_ layer: any Layer, input: Tensor) {
    guard layer.name == firstLayer, images.isEmpty else { return }
    imageCount = min(Self.imageLimit, input.shape.batch)
    let side = input.shape.height
    images.reserveCapacity(imageCount * side * side * 3)
    for n in 0..<imageCount {
      for y in 0..<side {
        for x in 0..<side {
          for channel in 0..<3 { images.append(input.pointer[input.offset(n, channel, y, x)]) }
        }
      }
    }
  }

  func didForward(_ layer: any Layer, output: Tensor) {
    guard layer.name == self.layer, maps.isEmpty else { return }
    extent = output.shape.height
    for n in 0..<imageCount {
      for filter in filters {
        for y in 0..<extent {
          for x in 0..<extent { maps.append(output.pointer[output.offset(n, filter, y, x)]) }
        }
      }
    }
  }

  func didBackward(_ layer: any Layer, inputGradient: Tensor?) {}

  /// One row an image: the image, then each filter's map; white is the filter's largest activation in these images.
  /// Nil if no image was seen.
  func montage() -> Montage? {
    guard imageCount > 0, !maps.isEmpty else { return nil }
    var montage = Montage(columns: 1 + filters.count, rows: imageCount, side: Self.side)
    let area = extent * extent
    let peaks = filters.indices.map { filter in
      (0..<imageCount).reduce(Float.leastNormalMagnitude) { peak, image in
        let first = (image * filters.count + filter) * area
        return maps[first..<first + area].reduce(peak) { max($0, $1) }
      }
    }
    for image in 0..<imageCount {
      drawImage(image, into: &montage)
      for filter in filters.indices {
        let first = (image * filters.count + filter) * area
        montage.draw(column: 1 + filter, row: image, extent: extent) { x, y, _ in
          maps[first + y * extent + x] / peaks[filter]
        }
      }
    }
    return montage
  }

  private func drawImage(_ image: Int, into montage: inout Montage) {
    let side = preprocessing.imageSize
    montage.draw(column: 0, row: image, extent: side) { x, y, channel in
      let index = (y * side + x) * 3 + channel
      let mean = preprocessing.mean[preprocessing.meanKind == .pixel ? index : channel]
      return (images[image * side * side * 3 + index] / preprocessing.scale[channel] + mean) / 255
    }
  }
}
