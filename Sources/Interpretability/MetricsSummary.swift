import Datasets
import Networks

/// Makes figures of what was recorded and counted: in Double, in the order of the filters.
struct MetricsSummary {
  private let records: FilterRecords
  private let parts: SplitParts
  private let options: FilterMetrics.Options
  private let classNames: [String]
  private let folder: ImageFolder
  private let associations: PartAssociations.Measurement?
  private let prior: Double?
  private let entropies: [FilterEntropies.Filter]?
  private let locations: LocationMeasurement?
  private let purities: [Double?]

  // Names of the figures, and of their random streams.
  private enum Figure: UInt64 {
    case locationInstability = 1
    case partInterpretability, purity, mutualInformation, partCorrelation
  }

  init(
    _ records: FilterRecords, _ parts: SplitParts, _ options: FilterMetrics.Options, classNames: [String],
    _ folder: ImageFolder, associations: PartAssociations.Measurement?, prior: Double?,
    entropies: [FilterEntropies.Filter]?
  ) {
    self.records = records
    self.parts = parts
    self.options = options
    self.classNames = classNames
    self.folder = folder
    self.associations = associations
    self.prior = prior
    self.entropies = entropies
    locations =
      records.layer.cells > 1
      ? LocationMeasurement(records, parts, options.instability, seed: options.seed) : nil
    purities = (0..<records.layer.filterCount).map { Self.purity($0, records) }
  }

  /// Share of the filter's own category in the sum of its mean activations on all categories that have images: 1 for a
  /// filter that fires on its category alone. nil for a silent filter, or if only one category has images.
  private static func purity(_ filter: Int, _ records: FilterRecords) -> Double? {
    let means = records.categoryMeans(filter)
    let known = means.compactMap { $0 }
    guard let category = records.categories[filter], let own = means[category], known.count > 1 else {
      return nil
    }
    return own / known.reduce(0, +)
  }

  func metrics() -> FilterMetrics {
    var leftOut: [String: String] = [:]
    var controls = FilterMetrics.AllControls()
    var intervals = FilterMetrics.Intervals()
    var measured: [String: Int] = [:]

    let instabilities = (locations?.filters ?? []).compactMap { $0 }
    if instabilities.isEmpty {
      leftOut["location_instability"] = reasonWithoutLocations()
    } else if let locations {
      controls.locationInstability = self.controls(locations)
      intervals.locationInstability = interval(instabilities, .locationInstability)
      measured["location_instability"] = instabilities.count
    }

    let correlations = (locations?.correlations ?? []).compactMap(best)
    if correlations.isEmpty {
      leftOut["part_correlation"] =
        instabilities.isEmpty ? reasonWithoutLocations() : "no part is on three images at different places"
    } else if let locations {
      controls.partCorrelation = FilterMetrics.Controls(
        random: control(locations.randomCorrelation, where: locations.correlations.map { best($0) != nil }),
        centre: 0)
      intervals.partCorrelation = interval(correlations, .partCorrelation)
      measured["part_correlation"] = correlations.count
    }

    let rates = (associations?.best ?? []).compactMap { $0?.rate }
    if rates.isEmpty {
      leftOut["part_interpretability"] = reasonWithoutRegions()
      leftOut["covered_parts"] = leftOut["part_interpretability"]
    } else if let associations {
      controls.partInterpretability = FilterMetrics.Controls(
        random: mean(associations.random.compactMap { $0 }),
        centre: mean(associations.centre.compactMap { $0 }))
      intervals.partInterpretability = interval(rates, .partInterpretability)
      measured["part_interpretability"] = rates.count
    }

    let purities = self.purities.compactMap { $0 }
    let categoriesWithImages = Set(records.labels).count
    if purities.isEmpty {
      leftOut["purity"] =
        categoriesWithImages == 1
        ? "the split has images of one category only" : "no filter fires on any image of the split"
    } else {
      controls.purity = 1 / Double(categoriesWithImages)
      intervals.purity = interval(purities, .purity)
      measured["purity"] = purities.count
    }
    if let entropies {
      intervals.mutualInformation = interval(entropies.map(\.mutualInformation), .mutualInformation)
    } else {
      leftOut["entropies"] = "not asked for"
    }
    for (category, name) in classNames.enumerated() where !records.labels.contains(category) {
      leftOut["categories/\(name)"] = "no image of the class in the split"
    }

    return FilterMetrics(
      locationInstability: instabilities.isEmpty ? nil : mean(instabilities),
      partInterpretability: rates.isEmpty ? nil : mean(rates),
      partCorrelation: correlations.isEmpty ? nil : mean(correlations),
      purity: purities.isEmpty ? nil : mean(purities), measuredFilters: measured, controls: controls,
      intervals: intervals, entropies: meanEntropies(),
      categories: classNames.indices.filter { records.labels.contains($0) }.map(category),
      filters: (0..<records.layer.filterCount).map(filter),
      silentFilters: records.categories.count { $0 == nil }, leftOut: leftOut,
      layer: FilterMetrics.Layer(
        name: records.layer.name, filters: records.layer.filterCount, mapHeight: records.layer.height,
        mapWidth: records.layer.width, receptiveField: records.layer.field),
      settings: settings())
  }

  private func settings() -> FilterMetrics.Settings {
    FilterMetrics.Settings(
      divisor: options.instability.divisor, top: options.instability.top,
      peakFeature: records.options.peakFeature, regionFeature: records.options.regionFeature,
      tailProbability: records.options.tailProbability, upscaling: options.interpretability.upscaling,
      overlapThreshold: options.interpretability.overlapThreshold, usesBoxes: parts.usesBoxes,
      parts: parts.names, seed: options.seed)
  }

  // MARK: means

  private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }

  private func interval(_ values: [Double], _ figure: Figure) -> Bootstrap.Interval? {
    Bootstrap.interval(values, seed: options.seed, figure: figure.rawValue)
  }

  private func controls(_ locations: LocationMeasurement) -> FilterMetrics.Controls {
    let isMeasured = locations.filters.map { $0 != nil }
    return FilterMetrics.Controls(
      random: control(locations.random, where: isMeasured),
      centre: control(locations.centre, where: isMeasured))
  }

  /// The mean over the measured filters of the control of each one's category.
  private func control(_ ofCategory: [Double?], where isMeasured: [Bool]) -> Double {
    mean(
      isMeasured.indices.filter { isMeasured[$0] }.compactMap { filter in
        records.categories[filter].flatMap { ofCategory[$0] }
      })
  }

  /// Of the part that a filter follows best.
  private func best(_ correlations: [Double?]) -> Double? { correlations.compactMap { $0 }.max() }

  private func meanEntropies() -> FilterMetrics.Entropies? {
    guard let prior, let entropies else { return nil }
    return FilterMetrics.Entropies(
      prior: prior, conditional: mean(entropies.map(\.conditional)),
      interCategory: mean(entropies.map(\.interCategory)), spatial: mean(entropies.map(\.spatial)),
      mutualInformation: mean(entropies.map(\.mutualInformation)))
  }

  // MARK: reasons

  private func reasonWithoutLocations() -> String {
    if records.layer.cells == 1 { return "maps of 1×1 cells have no places" }
    if parts.names.isEmpty { return "no image of the split has annotated parts" }
    if records.categories.allSatisfy({ $0 == nil }) { return "no filter fires on any image of the split" }
    return
      "no category that filters belong to has a part that occurs exactly once on at least two of its images"
  }

  private func reasonWithoutRegions() -> String {
    if records.layer.cells == 1 { return "maps of 1×1 cells have no places" }
    if parts.names.isEmpty { return "no image of the split has annotated parts" }
    if records.categories.allSatisfy({ $0 == nil }) { return "no filter fires on any image of the split" }
    if associations == nil { return "the annotated parts have neither masks nor boxes" }
    return "no category that filters belong to has a part with a mask or box"
  }

  // MARK: rows

  private func category(_ category: Int) -> FilterMetrics.Category {
    let own = records.categories.indices.filter { records.categories[$0] == category }
    let instabilities = own.compactMap { locations?.filters[$0] }
    let best = own.compactMap { associations?.best[$0] }
    let hasRegions = associations.map { $0.images[category].contains { $0 > 0 } } ?? false
    let covered = Set(best.filter { $0.rate >= PartInterpretability.coverage }.map(\.part))
    return FilterMetrics.Category(
      name: classNames[category], images: records.labels.count { $0 == category }, filters: own.count,
      locationInstability: instabilities.isEmpty ? nil : mean(instabilities),
      partInterpretability: best.isEmpty ? nil : mean(best.map(\.rate)),
      coveredParts: hasRegions ? covered.sorted().map { parts.names[$0] } : nil)
  }

  private func filter(_ filter: Int) -> FilterMetrics.Filter {
    let best = associations?.best[filter]
    return FilterMetrics.Filter(
      index: filter, category: records.categories[filter].map { classNames[$0] }, purity: purities[filter],
      locationInstability: locations?.filters[filter],
      partInstabilities: named(locations?.deviations[filter]),
      partCorrelations: named(locations?.correlations[filter]), partInterpretability: best?.rate,
      partRates: named(associations?.rates[filter]),
      part: best.flatMap { $0.rate > 0 ? parts.names[$0.part] : nil }, entropies: entropies?[filter],
      strongest: records.strongestImages(
        filter, category: records.categories[filter], count: options.strongestImages
      ).map { strong in
        let point = records.peakPoint(filter, strong.image)
        return FilterMetrics.StrongImage(
          image: folder.samples[records.samples[strong.image]].path, value: Double(strong.value), x: point.x,
          y: point.y)
      })
  }

  /// The defined ones by part; nil if there is none.
  private func named(_ values: [Double?]?) -> [String: Double]? {
    var result: [String: Double] = [:]
    for (part, value) in (values ?? []).enumerated() { result[parts.names[part]] = value }
    return result.isEmpty ? nil : result
  }
}
