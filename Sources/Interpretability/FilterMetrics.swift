import Datasets
import Networks

/// What the filters of a layer learned, in figures. docs/Metrics.md explains each.
///
/// Equal to the last digit for any number of ranks. What cannot be measured is absent and named in `leftOut`; nothing is
/// ever NaN or infinite.
public struct FilterMetrics: Codable, Sendable, Equatable {
  /// The settings that the figures depend on.
  public struct Options: Sendable, Equatable {
    /// What is recorded.
    public var records = FilterRecords.Options()
    /// Location instability.
    public var instability = LocationInstability()
    /// Part interpretability.
    public var interpretability = PartInterpretability()
    /// Only these parts; nil: all that are annotated.
    public var parts: [String]?
    /// Whether the entropies of the filter loss are measured: they compare every map with every template, twice.
    public var measuresEntropies = true
    /// Strongest images listed with each filter.
    public var strongestImages = 4
    /// Of controls and bootstrap.
    public var seed: UInt64 = 1

    /// The paper's, the authors' code where the paper says nothing.
    public init() {}
  }

  /// The layer.
  public struct Layer: Codable, Sendable, Equatable {
    /// Name of the convolution.
    public let name: String
    /// F.
    public let filters: Int
    /// Extent of a map, in cells.
    public let mapHeight: Int, mapWidth: Int
    /// Where its units look.
    public let receptiveField: ReceptiveField

    enum CodingKeys: String, CodingKey {
      case name, filters
      case mapHeight = "map_height"
      case mapWidth = "map_width"
      case receptiveField = "receptive_field"
    }
  }

  /// The settings, as they were.
  public struct Settings: Codable, Sendable, Equatable {
    /// See `LocationInstability`.
    public let divisor: LocationInstability.Divisor
    /// See `LocationInstability`.
    public let top: Int
    /// See `FilterRecords.Options`.
    public let peakFeature: MeasuredLayer.Feature, regionFeature: MeasuredLayer.Feature
    /// See `FilterRecords.Options`.
    public let tailProbability: Double
    /// See `PartInterpretability`.
    public let upscaling: PartInterpretability.Upscaling
    /// See `PartInterpretability`.
    public let overlapThreshold: Double
    /// Whether some part regions are boxes, for want of masks.
    public let usesBoxes: Bool
    /// The parts looked at.
    public let parts: [String]
    /// Of controls and bootstrap.
    public let seed: UInt64

    enum CodingKeys: String, CodingKey {
      case divisor, top, upscaling, parts, seed
      case peakFeature = "peak_feature"
      case regionFeature = "region_feature"
      case tailProbability = "tail_probability"
      case overlapThreshold = "overlap_threshold"
      case usesBoxes = "uses_boxes"
    }
  }

  /// What filters without any knowledge of parts would get.
  public struct Controls: Codable, Sendable, Equatable {
    /// Peaks (or regions of the same size) at a random cell of every map.
    public let random: Double
    /// Peaks (or regions of the same size) always in the middle.
    public let centre: Double
  }

  /// The controls of each figure.
  public struct AllControls: Codable, Sendable, Equatable {
    /// See `Controls`.
    public var locationInstability: Controls?, partInterpretability: Controls?, partCorrelation: Controls?
    /// Purity of a filter that fires alike for all categories: 1 / number of categories with images.
    public var purity: Double?

    enum CodingKeys: String, CodingKey {
      case purity
      case locationInstability = "location_instability"
      case partInterpretability = "part_interpretability"
      case partCorrelation = "part_correlation"
    }
  }

  /// The 95 % bootstrap interval of each mean over filters.
  public struct Intervals: Codable, Sendable, Equatable {
    /// `[lower, upper]`.
    public var locationInstability: Bootstrap.Interval?, partInterpretability: Bootstrap.Interval?
    /// `[lower, upper]`.
    public var partCorrelation: Bootstrap.Interval?
    /// `[lower, upper]`.
    public var purity: Bootstrap.Interval?, mutualInformation: Bootstrap.Interval?

    enum CodingKeys: String, CodingKey {
      case purity
      case locationInstability = "location_instability"
      case partInterpretability = "part_interpretability"
      case partCorrelation = "part_correlation"
      case mutualInformation = "mutual_information"
    }
  }

  /// Means over the filters of the filter loss's entropies, in nats; see `FilterEntropies`.
  public struct Entropies: Codable, Sendable, Equatable {
    /// H(T).
    public let prior: Double
    /// H(T|X).
    public let conditional: Double
    /// H(T'|X) and the spatial rest of H(T|X).
    public let interCategory: Double, spatial: Double
    /// H(T) − H(T|X).
    public let mutualInformation: Double

    enum CodingKeys: String, CodingKey {
      case prior, conditional, spatial
      case interCategory = "inter_category"
      case mutualInformation = "mutual_information"
    }
  }

  /// The filters of one category.
  public struct Category: Codable, Sendable, Equatable {
    /// Its name.
    public let name: String
    /// Its images in the split.
    public let images: Int
    /// Filters that belong to it.
    public let filters: Int
    /// Mean over them.
    public let locationInstability: Double?, partInterpretability: Double?
    /// Parts that at least one of them covers: its best part, associated on at least half of the images that show it.
    public let coveredParts: [String]?

    enum CodingKeys: String, CodingKey {
      case name, images, filters
      case locationInstability = "location_instability"
      case partInterpretability = "part_interpretability"
      case coveredParts = "covered_parts"
    }
  }

  /// One of the images on which a filter is strongest.
  public struct StrongImage: Codable, Sendable, Equatable {
    /// Path relative to the data set.
    public let image: String
    /// The peak's value.
    public let value: Double
    /// Where in the network's input it looks, in pixels.
    public let x: Double, y: Double
  }

  /// One filter.
  public struct Filter: Codable, Sendable, Equatable {
    /// From 0.
    public let index: Int
    /// Name of its category; absent for a silent filter.
    public let category: String?
    /// Share of its category in its mean activations.
    public let purity: Double?
    /// D_f, and D_{f,k} by part.
    public let locationInstability: Double?, partInstabilities: [String: Double]?
    /// r_{f,k} by part.
    public let partCorrelations: [String: Double]?
    /// P_f, and P_{f,k} by part.
    public let partInterpretability: Double?, partRates: [String: Double]?
    /// The part with the highest rate, if it has any.
    public let part: String?
    /// Its entropies.
    public let entropies: FilterEntropies.Filter?
    /// Where it is strongest, strongest first.
    public let strongest: [StrongImage]

    enum CodingKeys: String, CodingKey {
      case index, category, purity, part, entropies, strongest
      case locationInstability = "location_instability"
      case partInstabilities = "part_instabilities"
      case partCorrelations = "part_correlations"
      case partInterpretability = "part_interpretability"
      case partRates = "part_rates"
    }
  }

  /// Mean over the filters of D_f; lower is better.
  public internal(set) var locationInstability: Double?
  /// Mean over the filters of P_f; higher is better.
  public internal(set) var partInterpretability: Double?
  /// Mean over the filters of r_f, how far their peaks follow a part; higher is better.
  public internal(set) var partCorrelation: Double?
  /// Mean over the filters of their purity; higher is better.
  public internal(set) var purity: Double?
  /// Filters that each mean is taken over: those for which it is defined.
  public internal(set) var measuredFilters: [String: Int]
  /// Beside each figure what ignorance gets.
  public internal(set) var controls: AllControls
  /// Beside each figure its interval.
  public internal(set) var intervals: Intervals
  /// Mean entropies.
  public internal(set) var entropies: Entropies?
  /// By category, in the order of the class names.
  public internal(set) var categories: [Category]
  /// All filters.
  public internal(set) var filters: [Filter]
  /// Filters that fire on no image of the split; they have no category.
  public internal(set) var silentFilters: Int
  /// What was not measured, and why.
  public internal(set) var leftOut: [String: String]
  /// The layer.
  public internal(set) var layer: Layer
  /// How it was measured.
  public internal(set) var settings: Settings

  enum CodingKeys: String, CodingKey {
    case purity, controls, intervals, entropies, categories, filters, layer, settings
    case locationInstability = "location_instability"
    case partInterpretability = "part_interpretability"
    case partCorrelation = "part_correlation"
    case measuredFilters = "measured_filters"
    case silentFilters = "silent_filters"
    case leftOut = "left_out"
  }
}
