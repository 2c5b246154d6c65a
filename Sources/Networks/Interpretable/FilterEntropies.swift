import CKernels
import Glibc
import Tensors

/// The entropies of the paper's filter loss (section 3) over a whole split instead of a batch.
///
/// X are the maps of a filter, after the ReLU and before the mask, on all images; T its H·W + 1 templates:
///   Loss = −MI(X; T) = −H(T) + H(T|X),  H(T|X) = H(T'|X) + Σ_x p(T⁺, x) H(T⁺|X = x),  T' = {T⁻, T⁺}
/// Two passes over the same images: the first adds up the normalisers Z_T, the second the entropies. Between and after
/// them the ranks exchange sums. Digits do not depend on the number of ranks (see `ExponentialSums`).
///
/// Cost: every map against every template in both passes. Memory: 20 bytes for each filter and template, and 8 for each
/// image of a rank's batch, filter and template.
public final class FilterEntropies {
  /// One filter, in nats.
  public struct Filter: Codable, Sendable, Equatable {
    /// H(T|X): 0 if maps tell for certain whether and where the part is; H(T) = log(H·W + 1) if they tell nothing.
    public let conditional: Double
    /// H(T'|X): what maps leave open about whether the part is there.
    public let interCategory: Double
    /// Σ_x p(T⁺, x) H(T⁺|X = x): what they leave open about where it is.
    public let spatial: Double
    /// H(T) − H(T|X), minus the filter loss.
    public let mutualInformation: Double

    enum CodingKeys: String, CodingKey {
      case conditional, spatial
      case interCategory = "inter_category"
      case mutualInformation = "mutual_information"
    }
  }

  /// H(T) = log(H·W + 1), the same for all filters.
  public var prior: Double { bank.priorEntropy }

  private let filters: Int
  private let blocks: Int
  private let bank: TemplateBank
  private var normalizers: [ExponentialSums]
  private let logZ: AlignedBuffer<Double>
  private var scores = AlignedBuffer<Double>(count: 0)
  private var logLikelihoods = AlignedBuffer<Double>(count: 0)
  private var terms = AlignedBuffer<Double>(count: 0)
  // Per block: Σ of the three terms per lane, [3][16], and what rounding lost.
  private var highs: [[Double]]
  private var lows: [[Double]]

  /// For maps [any, F, H, W] and templates with that β.
  public init(filters: Int, height: Int, width: Int, beta: Double) {
    self.filters = filters
    blocks = (filters + Tensor.blockWidth - 1) / Tensor.blockWidth
    bank = TemplateBank(height: height, width: width, beta: beta)
    let perBlock = bank.count * Tensor.blockWidth
    normalizers = Array(repeating: ExponentialSums(count: perBlock), count: blocks)
    logZ = AlignedBuffer(count: blocks * perBlock)
    highs = Array(repeating: Array(repeating: 0, count: 3 * Tensor.blockWidth), count: blocks)
    lows = highs
  }

  private func score(_ x: Tensor) -> ck_maps_t {
    precondition(
      x.layout == .blocked && x.shape.channels == filters && x.shape.cells == bank.count - 1,
      "FilterEntropies: blocked maps of \(filters) filters and \(bank.count - 1) cells, found \(x.shape)")
    let count = x.shape.batch * blocks * bank.count * Tensor.blockWidth
    if scores.count < count { scores = AlignedBuffer(count: count) }
    let maps = ck_maps_t(
      images: Int64(x.shape.batch), blocks: Int64(blocks), height: Int64(bank.height),
      width: Int64(bank.width))
    ck_template_scores(x.pointer, maps, bank.kernelTemplates(peak: bank.tau), scores.pointer)
    return maps
  }

  /// First pass: blocked maps [N, F, H, W] of some images.
  public func addToNormalizers(_ x: Tensor) {
    _ = score(x)
    let perBlock = bank.count * Tensor.blockWidth
    let (source, blocks) = (scores.pointer, blocks)
    normalizers.withUnsafeMutableBufferPointer { sums in
      let sums = sums
      parallel(blocks) { block in
        for n in 0..<x.shape.batch {
          sums[block].add(source + (n * blocks + block) * perBlock, first: 0, count: perBlock)
        }
      }
    }
  }

  /// What this rank added up in the first pass: exponents, then high and low parts.
  public var normalizerSums: (exponents: [Int32], parts: [Double]) {
    (normalizers.flatMap(\.exponents), normalizers.flatMap { $0.highs + $0.lows })
  }

  /// Between the passes: the normalisers from the sums of all ranks.
  public func setNormalizers(_ ranks: [(exponents: [Int32], parts: [Double])]) {
    let perBlock = bank.count * Tensor.blockWidth
    for block in 0..<blocks {
      var total = ExponentialSums(count: perBlock)
      for rank in ranks {
        let start = block * 2 * perBlock
        total.add(
          ExponentialSums(
            exponents: Array(rank.exponents[block * perBlock..<(block + 1) * perBlock]),
            highs: Array(rank.parts[start..<start + perBlock]),
            lows: Array(rank.parts[start + perBlock..<start + 2 * perBlock])))
      }
      for index in 0..<perBlock { logZ.pointer[block * perBlock + index] = total.logarithm(index) }
    }
  }

  /// Second pass: the same images again, in any order.
  public func addToEntropies(_ x: Tensor) {
    let maps = score(x)
    let lanes = blocks * Tensor.blockWidth
    if logLikelihoods.count < x.shape.batch * lanes {
      logLikelihoods = AlignedBuffer(count: x.shape.batch * lanes)
      terms = AlignedBuffer(count: 3 * x.shape.batch * lanes)
    }
    ck_template_likelihoods(scores.pointer, maps, logZ.pointer, logLikelihoods.pointer, terms.pointer)
    let perBlock = 3 * Tensor.blockWidth
    for block in 0..<blocks {
      for n in 0..<x.shape.batch {
        let source = terms.pointer + (n * blocks + block) * perBlock
        for index in 0..<perBlock { add(source[index], block, index) }
      }
    }
  }

  private func add(_ term: Double, _ block: Int, _ index: Int) {
    (highs[block][index], lows[block][index]) = compensatedSum(
      highs[block][index], lows[block][index], term)
  }

  /// What this rank added up in the second pass: high, then low parts.
  public var entropySums: [Double] { highs.flatMap { $0 } + lows.flatMap { $0 } }

  /// After the second pass: the entropies of each filter from the sums of all ranks.
  public func filters(_ ranks: [[Double]]) -> [Filter] {
    let perBlock = 3 * Tensor.blockWidth
    return (0..<filters).map { filter in
      let at = filter / Tensor.blockWidth * perBlock + filter % Tensor.blockWidth
      func total(_ term: Int) -> Double {
        var sum = (high: 0.0, low: 0.0)
        for rank in ranks {
          for part in [0, blocks * perBlock] {
            sum = compensatedSum(sum.high, sum.low, rank[part + at + term * Tensor.blockWidth])
          }
        }
        return sum.high + sum.low
      }
      // Rounding may leave a few units in the last place below 0.
      let (loss, interCategory, spatial) = (total(0), max(total(1), 0), max(total(2), 0))
      return Filter(
        conditional: max(prior + loss, 0), interCategory: interCategory, spatial: spatial,
        mutualInformation: max(-loss, 0))
    }
  }
}
