import Datasets
import Tensors

/// What every filter of a layer did on every image of a split, in few numbers: the source of metrics, pictures and
/// explanations. The same on all ranks and for any number of ranks.
///
/// Images are named by their position in the split, 0..<imageCount, in the order of the task's list; `sample` leads
/// to the data set. Memory: 10 bytes per filter and image, and 6 per cell above the filters' thresholds: 512 filters on
/// 10,000 images with maps of 14×14 are 51 MB and at most 30 MB; while they are gathered, about three times as much.
public struct FilterRecords: Sendable {
  /// Most cells of a map.
  public static let mostCells = 1 << 16

  /// One of the images on which a filter is strongest.
  public struct StrongImage: Sendable, Equatable {
    /// Position in the split.
    public let image: Int
    /// The filter's largest activation on it.
    public let value: Float
    /// Where in the map.
    public let row: Int, column: Int
  }

  /// What was recorded.
  public struct Options: Sendable, Equatable {
    /// Where peaks are taken.
    public var peakFeature = MeasuredLayer.Feature.preactivation
    /// Where thresholds and the cells above them are taken.
    public var regionFeature = MeasuredLayer.Feature.masked
    /// Share of a filter's activations, over all images and cells, that lie above its threshold; in 0..<1.
    public var tailProbability = 0.005

    /// The authors' features, and the paper's 0.5 %.
    public init() {}
  }

  /// The layer.
  public let layer: MeasuredLayer
  /// What was recorded.
  public let options: Options
  /// N, the images of the split.
  public let imageCount: Int
  /// L, the number of categories that images may have.
  public let categoryCount: Int
  /// Category of each image.
  public let labels: [Int]
  /// Index of each image into `ImageFolder.samples`.
  public let samples: [Int]
  /// The category of each filter: the one with the largest mean activation (paper, section 3: ĉ = argmax_c mean over
  /// the images of c of Σ x) among those that may own filters and have an image; the first of equal ones. nil for a
  /// filter that is silent on the whole split.
  public private(set) var categories: [Int?]

  // [F, N].
  private let peakValues: [Float]
  private let peakCells: [UInt16]
  private let means: [Float]
  private let thresholds: [Float]
  // Per filter, ordered by image: the cells above the threshold.
  private let validImages: [[UInt32]]
  private let validCells: [[UInt16]]

  init(
    layer: MeasuredLayer, options: Options, entries: [LearningTask.Entry], categoryCount: Int,
    peakValues: [Float], peakCells: [UInt16], means: [Float], strongest: [[StrongestCells.Cell]]
  ) {
    self.layer = layer
    self.options = options
    imageCount = entries.count
    self.categoryCount = categoryCount
    labels = entries.map(\.label)
    samples = entries.map(\.sample)
    self.peakValues = peakValues
    self.peakCells = peakCells
    self.means = means
    let tail = Self.tailCount(options.tailProbability, images: entries.count, cells: layer.cells)
    thresholds = strongest.map { $0[tail].value }
    let valid = strongest.map { list in
      list.prefix(tail).filter { $0.value > list[tail].value }
        .sorted { ($0.image, $0.cell) < ($1.image, $1.cell) }
    }
    validImages = valid.map { $0.map(\.image) }
    validCells = valid.map { $0.map(\.cell) }
    categories = []
    let assigned = (0..<layer.filterCount).map { assignedCategory($0) }
    categories = assigned
  }

  /// Index of the threshold among the sorted values of a filter: ⌊p·N·H·W⌋.
  static func tailCount(_ probability: Double, images: Int, cells: Int) -> Int {
    Int(probability * Double(images * cells))
  }

  /// The largest activation of a filter on an image; negative only before the ReLU.
  public func peakValue(_ filter: Int, _ image: Int) -> Float { peakValues[filter * imageCount + image] }

  /// The first cell in row-major order that holds it.
  public func peakCell(_ filter: Int, _ image: Int) -> (row: Int, column: Int) {
    let cell = Int(peakCells[filter * imageCount + image])
    return (cell / layer.width, cell % layer.width)
  }

  /// Where in the network's input the peak looks, in pixels: the centre of its receptive field.
  public func peakPoint(_ filter: Int, _ image: Int) -> (x: Double, y: Double) {
    let peak = peakCell(filter, image)
    return layer.field.centre(row: peak.row, column: peak.column)
  }

  /// Mean over the cells of a filter's map on an image, after the ReLU and before the mask.
  public func meanActivation(_ filter: Int, _ image: Int) -> Float { means[filter * imageCount + image] }

  /// Mean of `meanActivation` over the images of each category; nil where the split has none.
  public func categoryMeans(_ filter: Int) -> [Double?] {
    var sums = [Double](repeating: 0, count: categoryCount)
    var counts = [Int](repeating: 0, count: categoryCount)
    for image in 0..<imageCount {
      sums[labels[image]] += Double(means[filter * imageCount + image])
      counts[labels[image]] += 1
    }
    return zip(sums, counts).map { $1 == 0 ? nil : $0 / Double($1) }
  }

  /// Categories that filters may belong to.
  public var ownedCategories: Range<Int> { 0..<(layer.ownedCategories ?? categoryCount) }

  /// The images on which a filter peaks highest, strongest first, equal ones in the order of the split.
  ///
  /// - Parameter category: only its images; nil: all.
  public func strongestImages(_ filter: Int, category: Int? = nil, count: Int) -> [StrongImage] {
    order(filter, category: category).prefix(count).map { image in
      let peak = peakCell(filter, image)
      return StrongImage(
        image: image, value: peakValue(filter, image), row: peak.row, column: peak.column)
    }
  }

  /// Positions of the images, the one with the highest peak first.
  func order(_ filter: Int, category: Int?) -> [Int] {
    let images = (0..<imageCount).filter { category == nil || labels[$0] == category }
    let row = filter * imageCount
    return images.sorted {
      let (a, b) = (peakValues[row + $0], peakValues[row + $1])
      return a != b ? a > b : $0 < $1
    }
  }

  /// T_f: so many of the filter's activations over all images and cells, `tailProbability`, lie above it (fewer where
  /// several are equal to it).
  public func threshold(_ filter: Int) -> Float { thresholds[filter] }

  /// The valid cells of a filter's map on an image, those above its threshold: row-major indices, ascending.
  public func validCells(_ filter: Int, _ image: Int) -> ArraySlice<UInt16> {
    let images = validImages[filter]
    func firstIndex(notBelow image: Int) -> Int {
      var (low, high) = (0, images.count)
      while low < high {
        let middle = (low + high) / 2
        if images[middle] < image { low = middle + 1 } else { high = middle }
      }
      return low
    }
    return validCells[filter][firstIndex(notBelow: image)..<firstIndex(notBelow: image + 1)]
  }

  private func assignedCategory(_ filter: Int) -> Int? {
    let means = categoryMeans(filter)
    guard means.contains(where: { ($0 ?? 0) > 0 }) else { return nil }
    var best: Int?
    for category in ownedCategories {
      guard let mean = means[category] else { continue }
      if best.map({ mean > means[$0]! }) ?? true { best = category }
    }
    return best
  }
}
