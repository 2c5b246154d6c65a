/// What the filter loss of one layer did in the last training step; equal on all ranks.
public struct FilterReport: Sendable {
  /// The loss of the paper's formulation and its parts: loss = −H(T) + H(T'|X) + Σ_x p(T⁺, x) H(T⁺|X = x), means
  /// over the filters of the layer, in nats. With a running normaliser the loss is still −Σ p(T) Σ p(x|T)
  /// log(p(x|T)/p(x)), but it is no longer the sum of the parts.
  public struct Terms: Sendable {
    /// Mean over the filters of Loss_f, minus the mutual information between maps and templates.
    public var loss = 0.0
    /// H(T) = log K: the same for all filters, constant.
    public var priorEntropy = 0.0
    /// H(T'|X), T' = {T⁻, T⁺}: low if maps tell clearly whether the part is there.
    public var interCategoryEntropy = 0.0
    /// Σ_x p(T⁺, x) H(T⁺|X = x): low if maps tell clearly where the part is.
    public var spatialEntropy = 0.0
  }

  /// Name of the layer.
  public let layer: String
  /// Number of filters.
  public let filterCount: Int
  /// The loss, where it has a value: the released formulation defines only a gradient.
  public internal(set) var terms: Terms?
  /// Weight of the filter loss in this step: the gradient at x is λ times the loss's.
  public internal(set) var lambda = 0.0
  /// Factor on the maps before their scores; 1 in the literal form.
  public internal(set) var scoreScale = 1.0
  /// RMS of the filter gradient over that of the task gradient in this step, on the active cells of the layer; nil where it
  /// is not measured or there was no task gradient.
  public internal(set) var gradientRatio: Double?
  /// Mean over the global batch's maps of the largest activation.
  public internal(set) var meanMaximum = 0.0
  /// Filters assigned to each category.
  public internal(set) var filtersPerCategory: [Int]
  /// Filters whose category changed since the step before; the released formulation counts none in the first step
  /// after a resume.
  public internal(set) var changedFilters = 0

  private let hasShare: Bool

  /// - Parameter hasShare: the gradient is a share of the task's, so that λ changes with every step.
  init(layer: String, filterCount: Int, categories: Int, hasShare: Bool = false) {
    self.layer = layer
    self.filterCount = filterCount
    self.hasShare = hasShare
    filtersPerCategory = Array(repeating: 0, count: categories)
  }

  /// What this layer adds to the training loss that is shown: λ · Σ_f Loss_f, 0 where the loss has no value. Where the
  /// gradient is a share of the task's, λ follows other quantities than the loss and its product with it says nothing: there
  /// it is the mean of Loss_f over the filters, in nats.
  public var weightedLoss: Double {
    let loss = terms?.loss ?? 0
    return hasShare ? loss : lambda * loss * Double(filterCount)
  }

  /// Counts the filters of each category and those that changed; −1 stands for none.
  mutating func count(_ categories: [Int32], before: [Int32]) {
    for index in filtersPerCategory.indices { filtersPerCategory[index] = 0 }
    changedFilters = 0
    for filter in categories.indices {
      let category = Int(categories[filter])
      if category >= 0 { filtersPerCategory[category] += 1 }
      if before[filter] >= 0 && categories[filter] != before[filter] { changedFilters += 1 }
    }
  }
}
