import CKernels
import Glibc
import Tensors

/// The mask and the filter gradient of the code that the authors released, which differ from the paper's equations.
///
/// Mask of an image and filter: 1 − b·(|g_i − g_r| + |g_j − g_c|), at least −1, around the centre of mass (r, c),
/// g from −1 to 1 over the map (on a 1×1 map the mask is 1), b a learned decay per filter.
/// With s = mean over cells of x·mask, m = mean of x, α = 0.5, λ = weight/t, κ = 1e-5, filters in groups, each with
/// its positive images P:
///   Zp = α log mean_n exp(s'/α), s' a score with another map's mask (see `Formulation.released`);
///   Zn = α log mean_n exp(−m/α); n over all images
///   q = exp(s/α)(s − Zp + α) on P, exp(−m/α)(−m − Zn + α) elsewhere;  a = λ·q / mean of q over the same images
///   dx −= κ·w⁺·a·mask on P;  dx += κ·w⁻·a in every cell elsewhere
/// One label: one group of all filters, P its positive images, w = 1. More: a filter belongs to the label where its
/// running mean of the maps' maxima, S, is largest; w⁺ = 0.5/ρ, w⁻ = 0.5/(1 − ρ), ρ the label's share in the data
/// (1/L beyond ten labels). Before S exists: one group, P the images with any label.
///
/// The decay follows the parts' extent: target = 3/v limited to 1.5…3, v the mean of the standard deviation of P's
/// maps weighted by s, and b's gradient is −10000·(target − b).
///
/// The authors' gradients are sums over the batch that the update divides by it; here gradients arrive as means over
/// the global batch, so both are divided by its size. b's gradient is formed once, from reduced sums, on the rank
/// that holds the first image of the global batch: the sum over ranks then is the authors' value.
/// Everything is in logarithms or shifted exponentials and cannot overflow; Double.
final class ReleasedFilterLoss: FilterLoss {
  private(set) var report: FilterReport
  let passesActiveOnly = false
  var writesMultiples: Bool { options.filterLossEnabled }

  /// b, the decay of each filter's mask.
  let decay: Parameter
  /// S, the running mean of the maps' maxima, [C, L], and whether there is one, [1].
  let peaks: LayerState, hasPeaks: LayerState

  private let options: InterpretableOptions
  private let corrected: Bool
  private let filters: Int, lanes: Int, labels: Int, side: Int
  private let filterTypes: [UInt8]

  // Per filter, padded: group's label, −1 for none.
  private(set) var groups: [Int32]
  private var groupsBefore: [Int32]
  // Per image and filter.
  private var capacity = 0
  private var means = AlignedBuffer<Double>(count: 0)
  private var deviations = AlignedBuffer<Double>(count: 0)
  private var scores = AlignedBuffer<Double>(count: 0)
  private var mirroredScores = AlignedBuffer<Double>(count: 0)
  private var mirroredRows = AlignedBuffer<Float>(count: 0)
  private var mirroredColumns = AlignedBuffer<Float>(count: 0)
  private let mirroredSlopes: AlignedBuffer<Float>

  // Statistics under reduction. Shifts: the largest exponent of the positive, then of the other images, per filter.
  private let shifts: AlignedBuffer<Double>
  private let positiveNormalizers: AlignedBuffer<Double>
  private let negativeNormalizers: AlignedBuffer<Double>
  // Σ e and Σ e·v over the positive images, then over the others, per filter.
  private let weighted: AlignedBuffer<Double>
  // Layout: see `Sums`; the cells of all centres of the global batch follow.
  private var sums = AlignedBuffer<Double>(count: 0)
  private var tickets: [StatisticsTicket] = []

  init(
    _ name: String, _ shape: Shape, outputs labels: Int, corrected: Bool, options: InterpretableOptions,
    filterTypes: [UInt8]?, mask: TemplateMask
  ) {
    precondition(
      shape.height == shape.width, "ReleasedFilterLoss \(name): square maps expected, found \(shape)")
    precondition(labels > 0, "ReleasedFilterLoss \(name): \(labels) labels")
    filters = shape.channels
    lanes = mask.lanes
    side = shape.height
    self.labels = labels
    self.corrected = corrected
    self.options = options
    self.filterTypes = filterTypes ?? Array(repeating: 1, count: filters)
    precondition(
      self.filterTypes.count == filters,
      "ReleasedFilterLoss \(name): \(self.filterTypes.count) filter types for \(filters) filters")
    report = FilterReport(layer: name, filterCount: filters, categories: labels)
    decay = Parameter(
      "\(name).decay", shape: [filters], layout: .blockedVector, learningRateMultiplier: 0.05,
      weightDecayMultiplier: 0)
    decay.initializer = .constant(options.releasedInitialDecay)
    peaks = LayerState("\(name).peak_magnitudes", shape: [filters, labels])
    hasPeaks = LayerState("\(name).peak_magnitudes_seen", shape: [1])
    groups = Array(repeating: -1, count: filters)
    groupsBefore = groups
    mirroredSlopes = AlignedBuffer(count: lanes)
    shifts = AlignedBuffer(count: 2 * filters)
    positiveNormalizers = AlignedBuffer(count: filters)
    negativeNormalizers = AlignedBuffer(count: filters)
    weighted = AlignedBuffer(count: 4 * filters)
    tickets.reserveCapacity(4)
    let step = side > 1 ? 2 / Float(side - 1) : 0
    mask.rowStep = step
    mask.columnStep = step
  }

  var parameters: [Parameter] { [decay] }
  var states: [LayerState] { [peaks, hasPeaks] }

  /// Standard deviation around the centre of this rank's maps in the last step, [N, C]. For tests and tools.
  func deviations(images: Int) -> [Double] {
    (0..<images).flatMap { n in (0..<filters).map { deviations.pointer[n * lanes + $0] } }
  }

  func keptBytes(images: Int) -> Int {
    images * lanes * (4 * MemoryLayout<Double>.stride + 2 * MemoryLayout<Float>.stride)
  }

  // MARK: forward

  var centre: MaskForm.Centre { .centreOfMass }

  func slope(filter: Int) -> Float { filterTypes[filter] == 1 ? decay.values[filter] : 0 }

  func placeMask(_ mask: TemplateMask, on x: Tensor) {
    prepare(for: x)
    for filter in 0..<filters { mask.slopes.pointer[filter] = slope(filter: filter) }
    ck_centroid(
      x.pointer, mask.maps(of: x), mask.rows.pointer, mask.columns.pointer, mask.maxima.pointer,
      means.pointer, deviations.pointer)
  }

  func start(_ x: Tensor, _ mask: TemplateMask, _ context: StepContext) throws {
    let images = x.shape.batch
    precondition(
      context.signs.count == images * labels,
      "ReleasedFilterLoss \(report.layer): \(context.signs.count) signs for \(images)×\(labels) labels")
    precondition(
      context.shareOffset + images <= context.globalBatchSize,
      "ReleasedFilterLoss \(report.layer): images \(context.shareOffset)..<\(context.shareOffset + images) "
        + "of a global batch of \(context.globalBatchSize)")
    // Of an earlier forward without a backward (finite differences do that).
    try finishReductions(context)
    assignGroups()
    ck_mask_score(x.pointer, mask.maps(of: x), mask.kernelMask, scores.pointer)

    let layout = Sums(filters: filters, labels: labels, globalBatch: context.globalBatchSize)
    if layout.count > sums.count { sums = AlignedBuffer(count: layout.count) }
    collectSums(layout, mask, context, images: images)
    collectShifts(context, images: images)
    logSumExp(means.pointer, times: -1, images: images, into: negativeNormalizers)
    if corrected { collectCorrectedNormalizers(x, mask, images: images) }

    try tickets.append(
      context.exchange.start(UnsafeMutableBufferPointer(start: sums.pointer, count: layout.count), .sum))
    try tickets.append(context.exchange.start(buffer(shifts), .maximum))
    try tickets.append(context.exchange.start(buffer(negativeNormalizers), .logSumExp))
    if corrected { try tickets.append(context.exchange.start(buffer(positiveNormalizers), .logSumExp)) }
  }

  // MARK: backward

  func finish(_ x: Tensor, _ dy: Tensor, _ mask: TemplateMask, _ context: StepContext) throws {
    precondition(!tickets.isEmpty, "ReleasedFilterLoss \(report.layer): backward without a training forward")
    try finishReductions(context)
    let layout = Sums(filters: filters, labels: labels, globalBatch: context.globalBatchSize)
    let images = x.shape.batch
    if !corrected {
      collectMirroredNormalizers(x, mask, layout, context)
      try tickets.append(context.exchange.start(buffer(positiveNormalizers), .logSumExp))
    }
    collectWeighted(context, images: images)
    try tickets.append(context.exchange.start(buffer(weighted), .sum))
    try finishReductions(context)

    report.lambda =
      options.filterLossEnabled ? options.effectiveWeight / Double(max(context.epoch, 1)) : 0
    writeGradient(mask, layout, context, images: images)
    if options.filterLossEnabled && context.shareOffset == 0 && images > 0 {
      addDecayGradient(layout, context)
    }
    report.count(groups, before: groupsBefore)
    report.meanMaximum = sums.pointer[layout.maximum] / Double(max(context.globalBatchSize * filters, 1))
    updatePeaks(layout)
  }

  func complete(_ dx: Tensor, _ mask: TemplateMask, _ context: StepContext) throws {}

  // MARK: groups

  /// Places in the array of sums: Σ s·d [C] and Σ s [C] over the group's positive images, Σ of maxima over each
  /// label's images [L, C], the number of these images [L], of the images with any label, Σ of all maxima, and the
  /// cell of every centre of the global batch [B, C].
  private struct Sums {
    let scoreDeviation = 0
    let score: Int
    let peaks: Int
    let counts: Int
    let anyLabel: Int
    let maximum: Int
    let centres: Int
    let count: Int

    init(filters: Int, labels: Int, globalBatch: Int) {
      score = filters
      peaks = 2 * filters
      counts = peaks + labels * filters
      anyLabel = counts + labels
      maximum = anyLabel + 1
      centres = maximum + 1
      count = centres + globalBatch * filters
    }
  }

  /// More than one label, and S says which of them a filter belongs to.
  private var isGrouped: Bool { labels > 1 && hasPeaks.values[0] != 0 }

  private func assignGroups() {
    let isGrouped = isGrouped
    for filter in 0..<filters {
      groupsBefore[filter] = groups[filter]
      guard filterTypes[filter] > 0 else { continue }
      var best = 0
      if isGrouped {
        let row = peaks.values.baseAddress! + filter * labels
        for label in 1..<labels where row[label] > row[best] { best = label }
      }
      groups[filter] = Int32(best)
    }
  }

  private func isPositive(_ n: Int, _ filter: Int, _ context: StepContext) -> Bool {
    isGrouped ? context.signs[n * labels + Int(groups[filter])] > 0 : hasLabel(n, context)
  }

  private func hasLabel(_ n: Int, _ context: StepContext) -> Bool {
    for label in 0..<labels where context.signs[n * labels + label] > 0 { return true }
    return false
  }

  /// Images that are positive for the filter's group, in the global batch.
  private func positives(_ filter: Int, _ layout: Sums) -> Double {
    sums.pointer[isGrouped ? layout.counts + Int(groups[filter]) : layout.anyLabel]
  }

  // MARK: statistics

  private func prepare(for x: Tensor) {
    guard x.capacity > capacity else { return }
    capacity = x.capacity
    means = AlignedBuffer(count: capacity * lanes)
    deviations = AlignedBuffer(count: capacity * lanes)
    scores = AlignedBuffer(count: capacity * lanes)
    mirroredScores = AlignedBuffer(count: capacity * lanes)
    mirroredRows = AlignedBuffer(count: capacity * lanes)
    mirroredColumns = AlignedBuffer(count: capacity * lanes)
  }

  private func finishReductions(_ context: StepContext) throws {
    for index in tickets.indices { try context.exchange.finish(tickets[index]) }
    tickets.removeAll(keepingCapacity: true)
  }

  private func buffer(_ memory: borrowing AlignedBuffer<Double>) -> UnsafeMutableBufferPointer<Double> {
    UnsafeMutableBufferPointer(start: memory.pointer, count: memory.count)
  }

  private func collectSums(_ layout: Sums, _ mask: TemplateMask, _ context: StepContext, images: Int) {
    let target = sums.pointer
    target.update(repeating: 0, count: layout.count)
    for n in 0..<images {
      for label in 0..<labels where context.signs[n * labels + label] > 0 {
        target[layout.counts + label] += 1
        let peakSums = target + layout.peaks + label * filters
        for filter in 0..<filters { peakSums[filter] += Double(mask.maxima.pointer[n * lanes + filter]) }
      }
      if hasLabel(n, context) { target[layout.anyLabel] += 1 }
      let centres = target + layout.centres + (context.shareOffset + n) * filters
      for filter in 0..<filters {
        let at = n * lanes + filter
        target[layout.maximum] += Double(mask.maxima.pointer[at])
        centres[filter] = Double(Int(mask.rows.pointer[at]) * side + Int(mask.columns.pointer[at]))
        guard groups[filter] >= 0 && isPositive(n, filter, context) else { continue }
        target[layout.scoreDeviation + filter] += scores.pointer[at] * deviations.pointer[at]
        target[layout.score + filter] += scores.pointer[at]
      }
    }
  }

  private func collectShifts(_ context: StepContext, images: Int) {
    shifts.pointer.update(repeating: -Double.infinity, count: shifts.count)
    for n in 0..<images {
      for filter in 0..<filters where filterTypes[filter] == 1 {
        let at = n * lanes + filter
        if isPositive(n, filter, context) {
          shifts.pointer[filter] = max(shifts.pointer[filter], scores.pointer[at])
        } else {
          shifts.pointer[filters + filter] = max(shifts.pointer[filters + filter], -means.pointer[at])
        }
      }
    }
  }

  /// Σ e and Σ e·v with e = exp((v − shift)/α): what the means of q need whatever Z turns out to be.
  private func collectWeighted(_ context: StepContext, images: Int) {
    weighted.pointer.update(repeating: 0, count: weighted.count)
    for n in 0..<images {
      for filter in 0..<filters where filterTypes[filter] == 1 {
        let isPositive = isPositive(n, filter, context)
        let (v, e) = exponential(n, filter, isPositive: isPositive)
        let target = weighted.pointer + (isPositive ? 0 : 2 * filters) + filter
        target[0] += e
        target[filters] += e * v
      }
    }
  }

  private func exponential(_ n: Int, _ filter: Int, isPositive: Bool) -> (v: Double, e: Double) {
    let at = n * lanes + filter
    let v = isPositive ? scores.pointer[at] : -means.pointer[at]
    return (v, exp((v - shifts.pointer[isPositive ? filter : filters + filter]) / options.releasedAlpha))
  }

  /// log Σ_n exp(sign·values/α) over this rank's images; −∞ without an image.
  private func logSumExp(
    _ values: UnsafePointer<Double>, times sign: Double, images: Int,
    into result: borrowing AlignedBuffer<Double>
  ) {
    let factor = sign / options.releasedAlpha
    for filter in 0..<filters {
      var largest = -Double.infinity
      for n in 0..<images { largest = max(largest, factor * values[n * lanes + filter]) }
      var sum = 0.0
      for n in 0..<images { sum += exp(factor * values[n * lanes + filter] - largest) }
      result.pointer[filter] = images == 0 ? -.infinity : largest + log(sum)
    }
  }

  /// The scores under the mask of the mirrored image and the mirrored filter of the global batch, as released.
  private func collectMirroredNormalizers(
    _ x: Tensor, _ mask: TemplateMask, _ layout: Sums, _ context: StepContext
  ) {
    let images = x.shape.batch
    for filter in 0..<filters {
      mirroredSlopes.pointer[filter] = mask.slopes.pointer[filters - 1 - filter]
    }
    for n in 0..<images {
      let other = context.globalBatchSize - 1 - (context.shareOffset + n)
      let centres = sums.pointer + layout.centres + other * filters
      for filter in 0..<filters {
        let cell = Int(centres[filters - 1 - filter])
        mirroredRows.pointer[n * lanes + filter] = Float(cell / side)
        mirroredColumns.pointer[n * lanes + filter] = Float(cell % side)
      }
    }
    scoreMirrored(x, mask, slopes: mirroredSlopes.pointer)
  }

  /// The scores under the map's own mask mirrored in rows and columns.
  private func collectCorrectedNormalizers(_ x: Tensor, _ mask: TemplateMask, images: Int) {
    for at in 0..<images * lanes {
      mirroredRows.pointer[at] = Float(side - 1) - mask.rows.pointer[at]
      mirroredColumns.pointer[at] = Float(side - 1) - mask.columns.pointer[at]
    }
    scoreMirrored(x, mask, slopes: mask.slopes.pointer)
  }

  private func scoreMirrored(_ x: Tensor, _ mask: TemplateMask, slopes: UnsafePointer<Float>) {
    let mirrored = ck_mask_t(
      row: mirroredRows.pointer, column: mirroredColumns.pointer, slope: slopes, rowStep: mask.rowStep,
      columnStep: mask.columnStep, scale: 1)
    ck_mask_score(x.pointer, mask.maps(of: x), mirrored, mirroredScores.pointer)
    logSumExp(mirroredScores.pointer, times: 1, images: x.shape.batch, into: positiveNormalizers)
  }

  // MARK: gradients

  private func writeGradient(_ mask: TemplateMask, _ layout: Sums, _ context: StepContext, images: Int) {
    guard options.filterLossEnabled else { return }
    let batch = Double(context.globalBatchSize)
    for filter in 0..<filters {
      for n in 0..<images {
        mask.along.pointer[n * lanes + filter] = 0
        mask.constant.pointer[n * lanes + filter] = 0
      }
      guard filterTypes[filter] == 1 else { continue }
      let positiveCount = positives(filter, layout)
      let weights = groupWeights(filter, context)
      writeGradient(
        filter, isPositive: true, count: positiveCount, weight: weights.positive, mask, context,
        images: images)
      writeGradient(
        filter, isPositive: false, count: batch - positiveCount, weight: weights.negative, mask, context,
        images: images)
    }
  }

  /// The gradient of one filter on the positive or on the other images of its group, `count` in the global batch.
  private func writeGradient(
    _ filter: Int, isPositive: Bool, count: Double, weight: Double, _ mask: TemplateMask,
    _ context: StepContext, images: Int
  ) {
    guard count > 0 else { return }
    let alpha = options.releasedAlpha
    let batch = Double(context.globalBatchSize)
    let normalizers = isPositive ? positiveNormalizers.pointer : negativeNormalizers.pointer
    let z = alpha * (normalizers[filter] - log(batch))
    let totals = weighted.pointer + (isPositive ? 0 : 2 * filters) + filter
    let mean = (totals[filters] + (alpha - z) * totals[0]) / count
    let scale = report.lambda * options.releasedFactor * weight / batch * context.gradientShare
    for n in 0..<images where self.isPositive(n, filter, context) == isPositive {
      let (v, e) = exponential(n, filter, isPositive: isPositive)
      let coefficient = mean == 0 ? 0 : scale * e * (v - z + alpha) / mean
      if isPositive {
        mask.along.pointer[n * lanes + filter] = Float(-coefficient)
      } else {
        mask.constant.pointer[n * lanes + filter] = Float(coefficient)
      }
    }
  }

  private func groupWeights(_ filter: Int, _ context: StepContext) -> (positive: Double, negative: Double) {
    guard isGrouped else { return (1, 1) }
    precondition(
      labels > 10 || context.labelShares.count == labels,
      "ReleasedFilterLoss \(report.layer): \(context.labelShares.count) label shares for \(labels) labels")
    let share = labels > 10 ? 1 / Double(labels) : context.labelShares[Int(groups[filter])]
    return (0.5 / share, 0.5 / (1 - share))
  }

  private func addDecayGradient(_ layout: Sums, _ context: StepContext) {
    // Formed once per step of globalBatchSize / gradientShare images; a part of a step adds its share of it.
    let scale = context.gradientShare * context.gradientShare / Double(context.globalBatchSize)
    for filter in 0..<filters where groups[filter] >= 0 {
      let extent = sums.pointer[layout.scoreDeviation + filter] / sums.pointer[layout.score + filter]
      let wanted = 3 / extent
      let target = wanted.isNaN ? 3 : min(max(wanted, 1.5), 3)
      decay.gradients[filter] += Float(-10000 * (target - Double(decay.values[filter])) * scale)
    }
  }

  /// S after the iteration, from the maxima of its forward; the weights it follows do not enter.
  private func updatePeaks(_ layout: Sums) {
    let peaks = peaks.values
    for label in 0..<labels {
      let count = sums.pointer[layout.counts + label]
      guard count > 0 else { continue }
      var columnSum = 0.0
      for filter in 0..<filters { columnSum += peaks[filter * labels + label] }
      for filter in 0..<filters {
        let index = filter * labels + label
        let mean = sums.pointer[layout.peaks + label * filters + filter] / count
        if columnSum == 0 {
          peaks[index] = max(mean, 0.1)
        } else {
          let silent = corrected ? peaks[index] : peaks[filter * labels]
          peaks[index] = 0.9 * peaks[index] + 0.1 * (mean == 0 ? silent : mean)
        }
      }
    }
    hasPeaks.values[0] = 1
  }
}
