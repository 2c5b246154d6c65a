import CKernels
import Glibc
import Tensors

/// The mask and the filter loss of the paper (CVPR 2018, section 3).
///
/// Mask: T_μ̂/τ (or T_μ̂), μ̂ the first arg-max of x in row-major order; x_masked = max(x ∘ T_μ̂, 0).
/// Loss of a filter over X, its maps on all images of the global batch:
///   s_T(x) = Σ_ij x_ij t_ij,  p(x|T) = exp(s_T(x))/Z_T,  Z_T = Σ_x exp(s_T(x)),  p(x) = Σ_T p(T) p(x|T)
///   Loss = −MI(X; T) = −Σ_T p(T) Σ_x p(x|T) r_T(x),  r_T(x) = log[p(x|T)/p(x)]
/// Gradients, descending lowers the loss (the paper prints equation 4 without its minus sign):
///   exact, Z a function of x    −Σ_T p(T) t_ij p(x|T) [r_T(x) − KL_T],  KL_T = Σ_x p(x|T) r_T(x)
///   exact, Z constant           −Σ_T p(T) t_ij p(x|T) r_T(x)
///   single term (default)       −p(T̂) t̂_ij p(x|T̂) r_T̂(x),  T̂ = T_μ̂ if the image is of the filter's category, else T⁻
/// dx += λ·∂Loss/∂x with λ = weight · (1/t) · mean over all maps of the layer of max x; not divided by the batch.
///
/// With `scoreScale` the loss is that of the maps s·x, s held constant (`ScoreScale`); with `gradientShare` λ is what makes
/// the gradient a share of the task's (`FilterGradientShare`). Neither adds a reduction that somebody waits for: M rides
/// with the class sums and the squares of the gradients with the terms of the loss, and both serve the steps after.
///
/// Everything between x and dx is Double and stays in logarithms. Cost per training step: every map against every
/// template, K = H·W + 1 of them, once (twice for the exact gradients), and two or three exponentials for each.
final class PaperFilterLoss: FilterLoss {
  let parameters: [Parameter] = []
  private(set) var report: FilterReport
  let passesActiveOnly = true
  var writesMultiples: Bool { options.filterLossEnabled && isMultipleOfMask }

  let bank: TemplateBank
  let assignment: FilterAssignment
  private let options: InterpretableOptions
  private let filters: Int
  private let lanes: Int
  private let templatesPerBlock: Int

  /// Running estimate: log of the mean over maps of exp s_T, [C/16, K, 16], and whether there is one, [1].
  private let runningNormalizer: LayerState?
  private let hasRunning: LayerState?

  private let scoreScale: ScoreScale?
  private let gradientShare: FilterGradientShare?
  /// Factor on the maps in the last forward.
  private var scale = 1.0
  /// Factor on the filter gradient without weight in the last backward, of one image's loss.
  private var strength = 0.0

  // Per filter and template, [C/16][K][16].
  private let logZ: AlignedBuffer<Double>
  private let divergences: AlignedBuffer<Double>
  // Class statistics, then Σ max x and the number of maps.
  private let statistics: AlignedBuffer<Double>
  // Σ over images of the three terms per filter, [3][C padded], then of the squares of the task and the filter gradient.
  private let termSums: AlignedBuffer<Double>
  // Per image and filter; scores per image, filter and template.
  private var capacity = 0
  private var sums = AlignedBuffer<Double>(count: 0)
  private var logLikelihoods = AlignedBuffer<Double>(count: 0)
  private var terms = AlignedBuffer<Double>(count: 0)
  private var scores = AlignedBuffer<Double>(count: 0)
  // Squares of the two gradients per image and filter, [N][C/16][2][16]; the filter gradient where it is kept, as x.
  private var squares = AlignedBuffer<Double>(count: 0)
  private var kept = AlignedBuffer<Float>(count: 0)

  private var isStarted = false
  private var normalizerTicket: StatisticsTicket?
  private var statisticsTicket: StatisticsTicket?
  private var termsTicket: StatisticsTicket?

  init(
    _ name: String, _ shape: Shape, categories: Int, eligibleCategories: Int, options: InterpretableOptions,
    mask: TemplateMask
  ) {
    self.options = options
    filters = shape.channels
    lanes = mask.lanes
    bank = TemplateBank(height: shape.height, width: shape.width, beta: options.beta)
    assignment = FilterAssignment(
      name, filters: filters, categories: categories, eligible: eligibleCategories)
    report = FilterReport(
      layer: name, filterCount: filters, categories: categories,
      hasShare: options.filterLossEnabled && options.gradientShare != nil)
    templatesPerBlock = bank.count * Tensor.blockWidth
    logZ = AlignedBuffer(count: lanes * bank.count)
    divergences = AlignedBuffer(count: options.filterGradient == .exact ? lanes * bank.count : 0)
    statistics = AlignedBuffer(count: assignment.statisticsCount + 2)
    termSums = AlignedBuffer(count: 3 * lanes + 2)
    scoreScale = options.filterLossEnabled ? options.scoreScale.map { ScoreScale(name, target: $0) } : nil
    gradientShare =
      options.filterLossEnabled
      ? options.gradientShare.map {
        FilterGradientShare(name, share: $0, warmupEpochs: options.warmupEpochs)
      } : nil
    let isRunning = options.normalizer == .running
    runningNormalizer =
      isRunning
      ? LayerState("\(name).log_normalizer", shape: [shape.blocks, bank.count, Tensor.blockWidth]) : nil
    hasRunning = isRunning ? LayerState("\(name).log_normalizer_seen", shape: [1]) : nil
    mask.rowStep = 1 / Float(shape.height)
    mask.columnStep = 1 / Float(shape.width)
    mask.scale = options.maskScale == .tau ? Float(bank.tau) : 1
    mask.passesMaps = options.maskScale == .none
    for lane in 0..<lanes { mask.slopes.pointer[lane] = slope(filter: lane) }
  }

  var states: [LayerState] {
    [assignment.means, assignment.seen]
      + [runningNormalizer, hasRunning, scoreScale?.meanMaximum, gradientShare?.squares].compactMap { $0 }
  }

  func keptBytes(images: Int) -> Int {
    let perFilter = options.filterLossEnabled ? 5 + bank.count : 1
    var bytes = images * lanes * perFilter * MemoryLayout<Double>.stride
    if gradientShare != nil { bytes += images * lanes * 2 * MemoryLayout<Double>.stride }
    if keepsGradient { bytes += images * lanes * (bank.count - 1) * MemoryLayout<Float>.stride }
    return bytes
  }

  var centre: MaskForm.Centre { .peak }

  func slope(filter: Int) -> Float { Float(options.beta) }

  func placeMask(_ mask: TemplateMask, on x: Tensor) {
    prepare(for: x)
    ck_peak(
      x.pointer, mask.maps(of: x), mask.rows.pointer, mask.columns.pointer, mask.maxima.pointer, sums.pointer)
  }

  func start(_ x: Tensor, _ mask: TemplateMask, _ context: StepContext) throws {
    try abandon(context)
    let images = x.shape.batch
    assignment.collect(sums.pointer, context, images: images, into: statistics.pointer)
    var maximumSum = 0.0
    for n in 0..<images {
      for filter in 0..<filters { maximumSum += Double(mask.maxima.pointer[n * lanes + filter]) }
    }
    statistics.pointer[assignment.statisticsCount] = maximumSum
    statistics.pointer[assignment.statisticsCount + 1] = Double(images * filters)
    statisticsTicket = try context.exchange.start(
      UnsafeMutableBufferPointer(start: statistics.pointer, count: statistics.count), .sum)

    isStarted = true

    guard options.filterLossEnabled else { return }
    if let scoreScale {
      if !scoreScale.isKnown {
        try finishStatistics(context)
        scoreScale.update(meanMaximum)
      }
      scale = scoreScale.factor
    }
    ck_template_scores(
      x.pointer, mask.maps(of: x), bank.kernelTemplates(peak: bank.tau * scale), scores.pointer)
    ck_template_normalizers(scores.pointer, mask.maps(of: x), logZ.pointer)
    normalizerTicket = try context.exchange.start(
      UnsafeMutableBufferPointer(start: logZ.pointer, count: logZ.count), .logSumExp)
  }

  func finish(_ x: Tensor, _ dy: Tensor, _ mask: TemplateMask, _ context: StepContext) throws {
    precondition(isStarted, "PaperFilterLoss \(report.layer): backward without a training forward")
    isStarted = false
    try finishStatistics(context)
    assignment.update(statistics.pointer, share: context.epochShare)
    report.meanMaximum = meanMaximum
    report.count(assignment.categories, before: assignment.before)
    scoreScale?.update(meanMaximum)
    weigh(context)

    guard let normalizerTicket else { return }
    self.normalizerTicket = nil
    try context.exchange.finish(normalizerTicket)
    averageNormalizer(images: mapCount / Double(filters), share: context.epochShare)
    ck_template_likelihoods(
      scores.pointer, mask.maps(of: x), logZ.pointer, logLikelihoods.pointer, terms.pointer)
    sumTerms(images: x.shape.batch)
    if options.filterGradient == .exact {
      ck_template_divergences(scores.pointer, mask.maps(of: x), logLikelihoods.pointer, divergences.pointer)
      try context.exchange.reduce(
        UnsafeMutableBufferPointer(start: divergences.pointer, count: divergences.count), .sum)
    }
    if gradientShare != nil {
      writeUnweighted(x, mask, context)
      sumSquares(x, dy, mask)
      if isMultipleOfMask {
        multiplySingleTerm(mask, images: x.shape.batch, by: Float(strength * context.gradientShare))
      }
    } else if options.filterGradient == .singleTerm {
      writeSingleTerm(x, mask, context, factor: -literalWeight(context) * bank.tau * scale)
      if keepsGradient { mask.writeFilterGradient(x, into: kept.pointer) }
    }
    termsTicket = try context.exchange.start(
      UnsafeMutableBufferPointer(start: termSums.pointer, count: termSums.count), .sum)
  }

  func complete(_ dx: Tensor, _ mask: TemplateMask, _ context: StepContext) throws {
    guard let termsTicket else { return }
    self.termsTicket = nil
    if keepsGradient {
      let factor = gradientShare == nil ? 1 : Float(strength * context.gradientShare)
      for index in 0..<dx.values.count { dx.pointer[index] += factor * kept.pointer[index] }
    } else if options.filterGradient != .singleTerm {
      addTemplateGradient(
        mask.maps(of: dx), peak: bank.tau * scale, factor: -literalWeight(context), to: dx.pointer)
    }
    try context.exchange.finish(termsTicket)
    report.terms = FilterReport.Terms(
      loss: meanOverFilters(0), priorEntropy: bank.priorEntropy, interCategoryEntropy: meanOverFilters(1),
      spatialEntropy: meanOverFilters(2))
    takeSquares(context)
  }

  // MARK: strength of the gradient

  /// Number of maps of the global batch in the layer, and the mean of their maxima, as reduced.
  private var mapCount: Double { statistics.pointer[assignment.statisticsCount + 1] }
  private var meanMaximum: Double { statistics.pointer[assignment.statisticsCount] / max(mapCount, 1) }

  /// True if the gradient needs no map of its own: multiples of the mask and of 1 say all of it, and the kernel that
  /// multiplies with the mask adds them.
  private var isMultipleOfMask: Bool { options.filterGradient == .singleTerm && options.maskScale != .none }

  /// True if the gradient is computed by itself: before it is known how strongly it acts, or because it is that of a mask
  /// that multiplies nothing.
  private var keepsGradient: Bool {
    options.filterLossEnabled
      && (options.filterGradient == .singleTerm ? !isMultipleOfMask : gradientShare != nil)
  }

  /// Sets λ and the strength of this step.
  private func weigh(_ context: StepContext) {
    report.scoreScale = scale
    report.lambda = 0
    guard options.filterLossEnabled else { return }
    guard let gradientShare else {
      report.lambda = options.effectiveWeight / Double(max(context.epoch, 1)) * meanMaximum
      return
    }
    strength = gradientShare.strength(epochsDone: context.epochsDone, epochsInRun: context.epochsInRun)
    // The loss's gradient is (s·τ/K)·g.
    report.lambda = strength * Double(bank.count) / (bank.tau * scale)
  }

  /// λ·p(T), times the batch's share of the step.
  private func literalWeight(_ context: StepContext) -> Double {
    report.lambda * context.gradientShare / Double(bank.count)
  }

  /// g, the filter gradient of λ·s·τ/K = 1: multiples of the mask and of 1, or a map of its own.
  private func writeUnweighted(_ x: Tensor, _ mask: TemplateMask, _ context: StepContext) {
    if options.filterGradient == .singleTerm {
      writeSingleTerm(x, mask, context, factor: -1)
      if keepsGradient { mask.writeFilterGradient(x, into: kept.pointer) }
    } else {
      kept.pointer.update(repeating: 0, count: x.values.count)
      addTemplateGradient(mask.maps(of: x), peak: 1, factor: -1, to: kept.pointer)
    }
  }

  /// dx += factor · Σ_T T·p(x|T)·(r − KL), T with that peak; uses the scores up.
  private func addTemplateGradient(
    _ maps: ck_maps_t, peak: Double, factor: Double, to dx: UnsafeMutablePointer<Float>
  ) {
    ck_template_gradient(
      scores.pointer, maps, bank.kernelTemplates(peak: peak), logLikelihoods.pointer,
      options.filterGradient == .exact ? divergences.pointer : nil, factor, dx)
  }

  /// Σ over this rank's cells of the squares of the task gradient and of g, beside the terms.
  private func sumSquares(_ x: Tensor, _ dy: Tensor, _ mask: TemplateMask) {
    ck_mask_gradient_squares(
      x.pointer, dy.pointer, mask.maps(of: x), mask.product, isMultipleOfMask ? mask.along.pointer : nil,
      isMultipleOfMask ? mask.constant.pointer : nil, keepsGradient ? kept.pointer : nil, squares.pointer)
    let width = Tensor.blockWidth
    var task = 0.0
    var filter = 0.0
    for map in 0..<x.shape.batch * lanes / width {
      for lane in 0..<width {
        task += squares.pointer[2 * map * width + lane]
        filter += squares.pointer[(2 * map + 1) * width + lane]
      }
    }
    termSums.pointer[3 * lanes] = task
    termSums.pointer[3 * lanes + 1] = filter
  }

  /// Takes the reduced squares into the running ones, as those of one image's loss.
  private func takeSquares(_ context: StepContext) {
    guard let gradientShare else { return }
    let cells = mapCount * Double(bank.count - 1)
    guard cells > 0, context.gradientShare > 0 else { return }
    let task = termSums.pointer[3 * lanes]
    let filter = termSums.pointer[3 * lanes + 1]
    report.gradientRatio =
      task > 0 ? strength * context.gradientShare * (filter / task).squareRoot() : nil
    let images = mapCount / Double(filters)
    let ofOneImage = images * images / cells
    gradientShare.update(
      task: task * ofOneImage / (context.gradientShare * context.gradientShare), filter: filter * ofOneImage,
      batchesInRun: context.epochsInRun * Double(context.batchesPerEpoch))
  }

  private func multiplySingleTerm(_ mask: TemplateMask, images: Int, by factor: Float) {
    for index in 0..<images * lanes {
      mask.along.pointer[index] *= factor
      mask.constant.pointer[index] *= factor
    }
  }

  /// Loss_f, H(T'|X) or the third term of every filter, as reduced in the last step: [C]. For tests and tools.
  func termsPerFilter(_ term: Int) -> [Double] {
    (0..<filters).map { termSums.pointer[term * lanes + $0] }
  }

  /// log p(x) of this rank's maps, [N, C], as used in the last step. For tests and tools.
  func logLikelihoods(images: Int) -> [Double] {
    (0..<images).flatMap { n in (0..<filters).map { logLikelihoods.pointer[n * lanes + $0] } }
  }

  /// log Z_T of every filter, [C][K], as used in the last step. For tests and tools.
  func logNormalizers() -> [Double] {
    (0..<filters).flatMap { filter in (0..<bank.count).map { logZ.pointer[index(filter, $0)] } }
  }

  /// Sets the running estimate, [C][K]: log of the mean over maps of exp s_T. For tests and tools.
  func setRunningNormalizers(_ values: [Double]) {
    guard let runningNormalizer, let hasRunning else {
      preconditionFailure("PaperFilterLoss: the normaliser is not a running one")
    }
    for filter in 0..<filters {
      for k in 0..<bank.count {
        runningNormalizer.values[index(filter, k)] = values[filter * bank.count + k]
      }
    }
    hasRunning.values[0] = 1
  }

  private func index(_ filter: Int, _ k: Int) -> Int {
    let width = Tensor.blockWidth
    return filter / width * templatesPerBlock + k * width + filter % width
  }

  /// Awaits what an earlier forward started if no backward followed (finite differences do that).
  private func abandon(_ context: StepContext) throws {
    try finishStatistics(context)
    if let normalizerTicket { try context.exchange.finish(normalizerTicket) }
    normalizerTicket = nil
  }

  private func finishStatistics(_ context: StepContext) throws {
    guard let statisticsTicket else { return }
    self.statisticsTicket = nil
    try context.exchange.finish(statisticsTicket)
  }

  private func prepare(for x: Tensor) {
    guard x.capacity > capacity else { return }
    capacity = x.capacity
    sums = AlignedBuffer(count: capacity * lanes)
    guard options.filterLossEnabled else { return }
    logLikelihoods = AlignedBuffer(count: capacity * lanes)
    terms = AlignedBuffer(count: capacity * lanes * 3)
    scores = AlignedBuffer(count: capacity * lanes * bank.count)
    if gradientShare != nil { squares = AlignedBuffer(count: capacity * lanes * 2) }
    if keepsGradient { kept = AlignedBuffer(count: capacity * lanes * (bank.count - 1)) }
  }

  /// Replaces log Z of the batch by that of the running estimate, which is kept per map, so that a short batch
  /// counts as any other: Z = images · average over batches of (Z_batch / images_batch).
  private func averageNormalizer(images: Double, share: Double) {
    guard let runningNormalizer, let hasRunning, images > 0 else { return }
    let running = runningNormalizer.values
    let logImages = log(images)
    for index in 0..<logZ.count { logZ.pointer[index] -= logImages }
    if hasRunning.values[0] == 0 {
      running.baseAddress?.update(from: logZ.pointer, count: logZ.count)
      hasRunning.values[0] = 1
    } else {
      ck_log_average(running.baseAddress, logZ.pointer, Int64(logZ.count), share)
    }
    for index in 0..<logZ.count { logZ.pointer[index] = running[index] + logImages }
  }

  private func sumTerms(images: Int) {
    termSums.pointer.update(repeating: 0, count: termSums.count)
    let blockTerms = 3 * Tensor.blockWidth
    for n in 0..<images {
      for block in 0..<lanes / Tensor.blockWidth {
        let source = terms.pointer + (n * (lanes / Tensor.blockWidth) + block) * blockTerms
        for term in 0..<3 {
          for lane in 0..<Tensor.blockWidth {
            termSums.pointer[term * lanes + block * Tensor.blockWidth + lane] +=
              source[term * Tensor.blockWidth + lane]
          }
        }
      }
    }
  }

  private func meanOverFilters(_ term: Int) -> Double {
    var sum = 0.0
    for filter in 0..<filters { sum += termSums.pointer[term * lanes + filter] }
    return sum / Double(filters)
  }

  /// factor·p(x|T̂)·r_T̂(x)·t̂/τ: a multiple of the mask where the image is of the filter's category (there t̂ = τ·mask),
  /// otherwise the same number for every cell (t̂ = −τ).
  private func writeSingleTerm(_ x: Tensor, _ mask: TemplateMask, _ context: StepContext, factor: Double) {
    for n in 0..<x.shape.batch {
      let imageScores = scores.pointer + n * lanes * bank.count
      for filter in 0..<filters {
        let at = n * lanes + filter
        let isOwn = context.categories[n] == assignment.categories[filter]
        let peak = Int(mask.rows.pointer[at]) * bank.width + Int(mask.columns.pointer[at])
        let u = imageScores[index(filter, isOwn ? peak : bank.count - 1)]
        let coefficient = factor * exp(u) * (u - logLikelihoods.pointer[at])
        mask.along.pointer[at] = isOwn ? Float(coefficient) : 0
        mask.constant.pointer[at] = isOwn ? 0 : Float(-coefficient)
      }
    }
  }
}
