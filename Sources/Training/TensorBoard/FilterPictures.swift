import Networks

extension Montage {
  /// The filters of a layer that sees RGB images, each on its own scale: 0 is grey, its largest magnitude black or white.
  ///
  /// - Parameter weights: [O, 3, k, k], canonical; at most the first 256 filters are drawn.
  init(filters weights: [Float], shape: [Int]) {
    precondition(
      shape.count == 4 && shape[1] == 3 && shape[2] == shape[3] && weights.count == shape.reduce(1, *),
      "Montage: \(weights.count) weights of shape \(shape)")
    let filters = min(shape[0], 256)
    let kernel = shape[2]
    let columns = Int(Double(filters).squareRoot().rounded(.up))
    // Kernels of 3 to 11 pixels, enlarged by whole factors.
    self.init(columns: columns, rows: (filters + columns - 1) / columns, side: kernel * max(1, 32 / kernel))
    for filter in 0..<filters {
      let first = filter * 3 * kernel * kernel
      let largest = weights[first..<first + 3 * kernel * kernel].reduce(Float.leastNormalMagnitude) {
        max($0, abs($1))
      }
      draw(column: filter % columns, row: filter / columns, extent: kernel) { x, y, channel in
        0.5 + 0.5 * weights[first + (channel * kernel + y) * kernel + x] / largest
      }
    }
  }
}

extension Network {
  /// The weights of the first layer, if it is a convolution with square kernels on RGB images.
  var imageFilters: Parameter? {
    layers.first?.parameters.first { $0.shape.count == 4 && $0.shape[1] == 3 && $0.shape[2] == $0.shape[3] }
  }
}
