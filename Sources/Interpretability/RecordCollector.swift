import Datasets
import Networks
import Tensors

/// Records what the filters of a layer do while a network runs over this rank's share of a split.
///
/// Set it as the network's observer, run every batch of the split once, then `finish` on all ranks.
public final class RecordCollector: LayerObserver {
  private let network: Network
  private let context: StepContext
  private let layer: MeasuredLayer
  private let options: FilterRecords.Options
  private let entries: [LearningTask.Entry]
  private let categoryCount: Int
  /// The statistics of the filter loss, measured in the same pass.
  private let entropies: FilterEntropies?

  private var peaks = MapPeaks()
  private var strongest: StrongestCells
  private var images: [UInt32] = []
  private var batchImages: [UInt32] = []
  // [images so far, F].
  private var peakValues: [Float] = []
  private var peakCells: [UInt16] = []
  private var means: [Float] = []

  /// A collector for the images of `entries`, the split's list in its order.
  ///
  /// - Parameter entropies: also given this pass's maps, if there is one.
  public init(
    _ network: Network, _ context: StepContext, _ layer: MeasuredLayer, _ options: FilterRecords.Options,
    entries: [LearningTask.Entry], categoryCount: Int, entropies: FilterEntropies? = nil
  ) {
    precondition(
      (0..<1).contains(options.tailProbability),
      "RecordCollector: tail probability \(options.tailProbability) is not in 0..<1")
    self.network = network
    self.context = context
    self.layer = layer
    self.options = options
    self.entries = entries
    self.categoryCount = categoryCount
    self.entropies = entropies
    strongest = StrongestCells(
      filters: layer.filterCount,
      count: FilterRecords.tailCount(options.tailProbability, images: entries.count, cells: layer.cells) + 1)
  }

  /// Takes what it needs of the measured layer's outputs.
  public func didForward(_ observed: any Layer, output: Tensor) throws {
    func isOutput(of feature: MeasuredLayer.Feature) -> Bool {
      observed === network.layers[layer.index(of: feature)]
    }
    if isOutput(of: .preactivation) {
      batchImages = context.sampleKeys.map { UInt32($0) }
      images += batchImages
    }
    if isOutput(of: options.peakFeature) { try recordPeaks(output) }
    if isOutput(of: .rectified) {
      try recordMeans(output)
      entropies?.addToNormalizers(output)
    }
    if isOutput(of: options.regionFeature) { strongest.add(output, images: batchImages) }
  }

  /// Nothing: there is no backward pass.
  public func didBackward(_ layer: any Layer, inputGradient: Tensor?) {}

  private func recordPeaks(_ x: Tensor) throws {
    peaks.measure(x)
    for n in 0..<x.shape.batch {
      for filter in 0..<layer.filterCount {
        let at = n * peaks.lanes + filter
        peakValues.append(peaks.maxima.pointer[at])
        peakCells.append(
          UInt16(Int(peaks.rows.pointer[at]) * layer.width + Int(peaks.columns.pointer[at])))
        guard peaks.sums.pointer[at].isFinite else {
          throw InterpretabilityError.notFinite(layer: layer.name)
        }
      }
    }
  }

  private func recordMeans(_ x: Tensor) throws {
    peaks.measure(x)
    for n in 0..<x.shape.batch {
      for filter in 0..<layer.filterCount {
        let sum = peaks.sums.pointer[n * peaks.lanes + filter]
        guard sum.isFinite else { throw InterpretabilityError.notFinite(layer: layer.name) }
        means.append(Float(sum / Double(layer.cells)))
      }
    }
  }

  /// The records of all ranks.
  public func finish(_ ranks: RankGather) throws -> FilterRecords {
    var writer = ByteWriter()
    writer.write(images)
    writer.write(peakValues)
    writer.write(peakCells)
    writer.write(means)
    let filters = layer.filterCount, count = entries.count
    var values = [Float](repeating: 0, count: filters * count)
    var cells = [UInt16](repeating: 0, count: filters * count)
    var averages = values
    var seen = 0
    for var reader in try ranks.exchange(writer) {
      let images = reader.read(UInt32.self)
      let rows = (reader.read(Float.self), reader.read(UInt16.self), reader.read(Float.self))
      for (index, image) in images.enumerated() {
        for filter in 0..<filters {
          let (source, target) = (index * filters + filter, filter * count + Int(image))
          values[target] = rows.0[source]
          cells[target] = rows.1[source]
          averages[target] = rows.2[source]
        }
      }
      seen += images.count
    }
    precondition(seen == count, "RecordCollector: \(seen) images were seen of \(count)")
    return FilterRecords(
      layer: layer, options: options, entries: entries, categoryCount: categoryCount, peakValues: values,
      peakCells: cells, means: averages, strongest: try strongest.gathered(ranks))
  }
}
