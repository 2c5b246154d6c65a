import Datasets
import Networks
import Tensors

/// Measures the filters of a network on a split: runs it over the images, gathers `FilterRecords`, makes
/// `FilterMetrics` of them.
///
/// ```
/// let study = try FilterStudy(network, context, entries: entries, classNames: names, folder, frame)
/// let (records, metrics) = try study.run { network.observer = $0; …every batch of this rank… }
/// ```
/// All ranks call it, each running its shares of all batches.
public final class FilterStudy {
  private let network: Network
  private let context: StepContext
  private let entries: [LearningTask.Entry]
  private let classNames: [String]
  private let folder: ImageFolder
  private let frame: InputFrame
  private let options: FilterMetrics.Options
  private let ranks: RankGather
  private let partNames: [String]
  /// The layer whose filters are measured.
  public let layer: MeasuredLayer

  /// - Parameters:
  ///   - context: of the network; its `sampleKeys` are each image's position in `entries`, the split's list.
  ///   - layer: see `MeasuredLayer`.
  ///   - frame: how places in images become places in the network's input.
  /// - Throws: `InterpretabilityError`.
  public init(
    _ network: Network, _ context: StepContext, layer: String? = nil, entries: [LearningTask.Entry],
    classNames: [String], _ folder: ImageFolder, _ frame: InputFrame,
    options: FilterMetrics.Options = FilterMetrics.Options(), _ ranks: RankGather = .single
  ) throws(InterpretabilityError) {
    self.network = network
    self.context = context
    self.entries = entries
    self.classNames = classNames
    self.folder = folder
    self.frame = frame
    self.options = options
    self.ranks = ranks
    self.layer = try MeasuredLayer(network, named: layer)
    partNames = try SplitParts.names(entries, of: folder, chosen: options.parts)
  }

  /// Measures.
  ///
  /// - Parameter pass: runs the network over every image of the split once with the observer that it is given; called
  ///   once, or twice where entropies or bilinear upscaling ask for it.
  public func run(pass: (_ observer: any LayerObserver) throws -> Void) throws -> (
    FilterRecords, FilterMetrics
  ) {
    let parts = try SplitParts(entries, of: folder, frame, named: partNames, ranks)
    // A fused ReLU would hide what lies before it; without fusion every number is the same.
    let isFused = network.fusesRectifiers
    if isFused { network.fuseRectifiers(false) }
    defer { if isFused { network.fuseRectifiers() } }

    let entropies =
      options.measuresEntropies
      ? FilterEntropies(
        filters: layer.filterCount, height: layer.height, width: layer.width, beta: layer.beta) : nil
    let collector = RecordCollector(
      network, context, layer, options.records, entries: entries, categoryCount: classNames.count,
      entropies: entropies)
    try pass(collector)
    let records = try collector.finish(ranks)
    if let entropies { try exchangeNormalizers(entropies) }

    let associations =
      measuresRegions(parts)
      ? PartAssociations(records, parts, options.interpretability, seed: options.seed) : nil
    let isBilinear = associations != nil && options.interpretability.upscaling == .bilinear
    if entropies != nil || isBilinear {
      try pass(
        SecondPass(
          network, context, layer, entropies: entropies, regionFeature: options.records.regionFeature,
          associations: isBilinear ? associations : nil))
    }
    if let associations, !isBilinear { try associate(associations) }
    let summary = MetricsSummary(
      records, parts, options, classNames: classNames, folder,
      associations: try associations?.finish(ranks), prior: entropies?.prior,
      entropies: try entropies.map(gather))
    return (records, summary.metrics())
  }

  private func measuresRegions(_ parts: SplitParts) -> Bool {
    layer.cells > 1
      && entries.indices.contains { image in parts.names.indices.contains { parts.hasRegion($0, on: image) } }
  }

  /// Compares regions and parts on this rank's share of the images.
  private func associate(_ associations: PartAssociations) throws {
    for image in ShardedSampler.share(of: entries.count, rank: ranks.rank, rankCount: ranks.rankCount) {
      try associations.add(image)
    }
  }

  private func exchangeNormalizers(_ entropies: FilterEntropies) throws {
    let sums = entropies.normalizerSums
    var writer = ByteWriter()
    writer.write(sums.exponents)
    writer.write(sums.parts)
    entropies.setNormalizers(
      try ranks.exchange(writer).map { reader in
        var reader = reader
        return (reader.read(Int32.self), reader.read(Double.self))
      })
  }

  private func gather(_ entropies: FilterEntropies) throws -> [FilterEntropies.Filter] {
    var writer = ByteWriter()
    writer.write(entropies.entropySums)
    return entropies.filters(
      try ranks.exchange(writer).map { reader in
        var reader = reader
        return reader.read(Double.self)
      })
  }
}

/// What needs the maps once more, when normalisers and thresholds are known.
private final class SecondPass: LayerObserver {
  private let network: Network
  private let context: StepContext
  private let layer: MeasuredLayer
  private let entropies: FilterEntropies?
  private let regionFeature: MeasuredLayer.Feature
  private let associations: PartAssociations?

  init(
    _ network: Network, _ context: StepContext, _ layer: MeasuredLayer, entropies: FilterEntropies?,
    regionFeature: MeasuredLayer.Feature, associations: PartAssociations?
  ) {
    self.network = network
    self.context = context
    self.layer = layer
    self.entropies = entropies
    self.regionFeature = regionFeature
    self.associations = associations
  }

  func didForward(_ observed: any Layer, output: Tensor) throws {
    if observed === network.layers[layer.index(of: .rectified)] { entropies?.addToEntropies(output) }
    if let associations, observed === network.layers[layer.index(of: regionFeature)] {
      for (n, image) in context.sampleKeys.enumerated() {
        try associations.add(Int(image)) { filter, cell in
          output.pointer[output.offset(n, filter, 0, 0) + cell * Tensor.blockWidth]
        }
      }
    }
  }

  func didBackward(_ layer: any Layer, inputGradient: Tensor?) {}
}
