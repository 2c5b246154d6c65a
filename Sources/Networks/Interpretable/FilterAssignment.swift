import Tensors

/// Which category each filter belongs to (paper, section 3): the one whose images activate it most,
/// ĉ = argmax_c mean over the images I of category c of Σ_ij x_ij(I).
///
/// Sums and counts of one batch are reduced over all ranks; the class means are averaged over batches with a time
/// constant of one epoch. The first batch that shows a class sets its mean; a class absent from a batch keeps its
/// mean; classes never seen are skipped; the first of equal means wins. Every rank computes the same.
final class FilterAssignment {
  /// Mean of Σx per filter and category, [C, L], and 1 for the categories seen so far, [L].
  let means: LayerState, seen: LayerState
  /// Category per filter; −1 before the first step.
  private(set) var categories: [Int32]
  /// The categories of the step before.
  private(set) var before: [Int32]
  /// Filters may belong to the categories 0..<eligible.
  let eligible: Int
  private let filters: Int
  private let classes: Int
  private let lanes: Int

  init(_ name: String, filters: Int, categories classes: Int, eligible: Int) {
    precondition(
      1...classes ~= eligible, "FilterAssignment: \(eligible) of \(classes) categories can own filters")
    self.filters = filters
    self.classes = classes
    self.eligible = eligible
    lanes = (filters + Tensor.blockWidth - 1) / Tensor.blockWidth * Tensor.blockWidth
    means = LayerState("\(name).category_means", shape: [filters, classes])
    seen = LayerState("\(name).category_seen", shape: [classes])
    categories = Array(repeating: -1, count: filters)
    before = categories
  }

  /// Numbers in one batch's statistics: sums [L, C], then counts [L].
  var statisticsCount: Int { classes * (filters + 1) }

  /// Writes this rank's statistics: `sums` holds Σx per image and filter, [N, C padded].
  func collect(
    _ sums: UnsafePointer<Double>, _ context: StepContext, images: Int,
    into statistics: UnsafeMutablePointer<Double>
  ) {
    precondition(
      context.categories.count == images,
      "FilterAssignment: \(context.categories.count) categories for \(images) images")
    statistics.update(repeating: 0, count: statisticsCount)
    for n in 0..<images {
      let category = Int(context.categories[n])
      precondition(0..<classes ~= category, "FilterAssignment: category \(category) of \(classes)")
      let target = statistics + category * filters
      let source = sums + n * lanes
      for filter in 0..<filters { target[filter] += source[filter] }
      statistics[classes * filters + category] += 1
    }
  }

  /// Takes the reduced statistics into the means and assigns every filter anew.
  ///
  /// - Parameter share: weight of this batch in the averages, 0...1.
  func update(_ statistics: UnsafePointer<Double>, share: Double) {
    let means = means.values
    let seen = seen.values
    if categories[0] < 0 && seen.contains(where: { $0 != 0 }) { assign() }  // resumed from a checkpoint
    for category in 0..<classes {
      let count = statistics[classes * filters + category]
      guard count > 0 else { continue }
      let weight = seen[category] == 0 ? 1 : share
      for filter in 0..<filters {
        let mean = statistics[category * filters + filter] / count
        let index = filter * classes + category
        means[index] = weight == 1 ? mean : means[index] + weight * (mean - means[index])
      }
      seen[category] = 1
    }
    for filter in 0..<filters { before[filter] = categories[filter] }
    assign()
  }

  private func assign() {
    let means = means.values
    let seen = seen.values
    for filter in 0..<filters {
      var best = -1
      for category in 0..<eligible where seen[category] != 0 {
        if best < 0 || means[filter * classes + category] > means[filter * classes + best] { best = category }
      }
      categories[filter] = Int32(max(best, 0))
    }
  }
}
