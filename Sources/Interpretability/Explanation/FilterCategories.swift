import Networks

/// Which category each filter of an interpretable layer belongs to, as a checkpoint remembers it.
public enum FilterCategories {
  /// By filter, an index into the classes; nil for a filter that was never active, or if the network has no interpretable
  /// layer. The category is the one whose training images activated the filter most (paper, section 3).
  public static func of(_ network: Network, filters: Int) -> [Int?] {
    guard let layer = network.interpretableLayers.last else { return Array(repeating: nil, count: filters) }
    let categories = of(layer, outputs: network.outputs)
    return categories.count == filters ? categories : Array(repeating: nil, count: filters)
  }

  /// The same of the filters below one mask.
  ///
  /// - Parameter outputs: L, the network's logits.
  public static func of(_ layer: InterpretableMask, outputs: Int) -> [Int?] {
    guard let means = layer.states.first(where: { $0.shape.count == 2 }) else { return [] }
    let (filters, classes) = (means.shape[0], means.shape[1])
    let owned = outputs == 1 && !layer.options.negativeFilters ? 1 : classes
    return (0..<filters).map { filter in
      let row = (0..<owned).map { means.values[filter * classes + $0] }
      guard let highest = row.max(), highest > 0 else { return nil }
      return row.firstIndex(of: highest)
    }
  }
}
