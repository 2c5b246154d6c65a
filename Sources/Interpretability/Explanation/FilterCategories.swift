import Networks

/// Which category each filter of an interpretable layer belongs to, as a checkpoint remembers it.
public enum FilterCategories {
  /// By filter, an index into the classes; nil for a filter that was never active, or if the network has no interpretable
  /// layer. The category is the one whose training images activated the filter most (paper, section 3).
  public static func of(_ network: Network, filters: Int) -> [Int?] {
    guard let layer = network.interpretableLayers.last,
      let means = layer.states.first(where: { $0.shape.count == 2 && $0.shape[0] == filters })
    else { return Array(repeating: nil, count: filters) }
    let classes = means.shape[1]
    let owned = network.outputs == 1 && !layer.options.negativeFilters ? 1 : classes
    return (0..<filters).map { filter in
      let row = (0..<owned).map { means.values[filter * classes + $0] }
      guard let highest = row.max(), highest > 0 else { return nil }
      return row.firstIndex(of: highest)
    }
  }
}
