/// How filters are made interpretable. The defaults are the equations of the paper.
public struct InterpretableOptions: Codable, Equatable, Sendable {
  /// Whose filter loss: the paper's equations or the code that its authors released, which differ.
  public enum Formulation: Equatable, Sendable {
    /// Zhang, Wu, Zhu, "Interpretable Convolutional Neural Networks", CVPR 2018, equations 1 to 5.
    case paper
    /// The authors' code, to the letter; with `corrected`, its plain faults are mended: the positive normaliser
    /// uses each map's own mask mirrored in rows and columns, as meant (released: the mask of the mirrored image
    /// and filter of the batch, so that results depend on the order of the images), and a filter that is silent
    /// on a category keeps its own running peak there (released: it takes the one of category 0).
    case released(corrected: Bool)
  }

  /// Which gradient of the filter loss descends; all three carry the minus sign that lowers the loss.
  public enum FilterGradient: String, Codable, Sendable {
    /// Only the term of the assigned template (equation 4 of the paper).
    case singleTerm = "single-term"
    /// All templates, with the normalisers Z as functions of x: the derivative of the reported loss.
    case exact
    /// All templates, with Z held constant.
    case exactConstantZ = "exact-constant-z"
  }

  /// Peak of the mask that multiplies the maps (paper only).
  public enum MaskScale: String, Codable, Sendable {
    /// Peak 1, as in the released code.
    case unit
    /// Peak τ = 0.5/n², the literal paper.
    case tau
    /// No mask: maps pass as they are, and the filter loss alone acts. For studies of what either does.
    case none
  }

  /// The maps over which Z and p(x) are estimated (paper only).
  public enum Normalizer: String, Codable, Sendable {
    /// The maps of the global batch.
    case batch
    /// An exponential average over batches, in log space, with a time constant of one epoch.
    case running
  }

  /// Paper or released code.
  public var formulation = Formulation.paper
  /// Gradient of the paper's loss.
  public var filterGradient = FilterGradient.singleTerm
  /// Peak of the paper's mask.
  public var maskScale = MaskScale.unit
  /// Estimate of the paper's normalisers.
  public var normalizer = Normalizer.batch
  /// False: maps are masked, but no filter loss acts.
  public var filterLossEnabled = true
  /// The scale of λ; nil: 1 in the paper's formulation, λ = weight · (1/t) · mean of the maps' maxima, and 0.1 in
  /// the released one, λ = weight / t (there called `mag`). t is the epoch, from 1.
  public var weight: Double?
  /// c: maps are scaled before the scores so that the mean of their maxima is c (paper only; see `ScoreScale`). Nil: the
  /// paper to the letter, scores of the activations as they are.
  public var scoreScale: Double?
  /// ρ: the filter gradient's RMS is ρ/t times that of the task gradient at the layer, whatever λ would say, t growing from 1
  /// to 20 in the course of the run (paper only; see
  /// `FilterGradientShare`). Nil: the paper to the letter, λ times the gradient of the loss.
  public var gradientShare: Double?
  /// Epochs before the filter gradient's share begins, and its t grows.
  public var warmupEpochs = 0.0
  /// β of the paper's templates: how fast they fall with the distance from the peak.
  public var beta = 4.0
  /// In single-category training, filters may belong to the counter-examples too.
  public var negativeFilters = false
  /// α of the released code: temperature of its exponentials.
  public var releasedAlpha = 0.5
  /// Factor of the released code on its whole filter gradient.
  public var releasedFactor = 1e-5
  /// First value of the released code's mask decay b.
  public var releasedInitialDecay: Float = 2

  /// The defaults.
  public init() {}

  /// `weight`, or the default of the formulation.
  public var effectiveWeight: Double { weight ?? (formulation == .paper ? 1 : 0.1) }
}

extension InterpretableOptions.Formulation: Codable, RawRepresentable, CaseIterable {
  /// "paper", "released" or "corrected", as the command line and configuration files write it.
  public var rawValue: String {
    switch self {
    case .paper: "paper"
    case .released(corrected: false): "released"
    case .released(corrected: true): "corrected"
    }
  }

  /// The formulation of that name.
  public init?(rawValue: String) {
    guard let match = Self.allCases.first(where: { $0.rawValue == rawValue }) else { return nil }
    self = match
  }

  /// All three.
  public static let allCases: [Self] = [.paper, .released(corrected: false), .released(corrected: true)]
}
