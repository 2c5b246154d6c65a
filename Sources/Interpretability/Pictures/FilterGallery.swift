import Datasets
import Foundation
import Networks
import Tensors

/// Pictures of every filter of a layer: its strongest images with the region that it answers to, the average of what it
/// looks at, and what its mask does.
///
/// ```
/// let gallery = FilterGallery(network, context, records, folder, frame)
/// network.observer = gallery.keeper; …every batch of the split…
/// let pictures = try gallery.draw { print($0()) }
/// ```
public final class FilterGallery {
  /// To be the network's observer during one pass over the split.
  public let keeper: MapKeeper
  /// Is given every picture that is drawn, in full size, and a name for its file; what it throws ends the drawing.
  public var onPicture: (_ name: String, _ image: RGBImage) throws -> Void = { _, _ in }
  private let records: FilterRecords
  private let folder: ImageFolder
  private let frame: InputFrame
  private let beta: Double?
  /// By filter, strongest first; empty for a silent one.
  private let strongest: [[FilterRecords.StrongImage]]
  /// By category, the image on which most of its filters are among their strongest.
  private let typical: [Int: Int]
  // Images whose maps are drawn, and images that are averaged.
  private static let shownImages = 4
  private static let averagedImages = 8
  private static let edge: RGBImage.Color = (255, 140, 40)

  /// A gallery of the images on which filters are strongest: those of their category.
  public init(
    _ network: Network, _ context: StepContext, _ records: FilterRecords, _ folder: ImageFolder,
    _ frame: InputFrame
  ) {
    self.records = records
    self.folder = folder
    self.frame = frame
    strongest = (0..<records.layer.filterCount).map { filter in
      guard let category = records.categories[filter] else { return [] }
      return records.strongestImages(filter, category: category, count: Self.averagedImages)
    }
    var wanted: [Int: [Int]] = [:]
    for (filter, images) in strongest.enumerated() {
      for image in images.prefix(Self.shownImages) { wanted[image.image, default: []].append(filter) }
    }
    typical = Self.typicalImages(strongest, records)
    for (category, image) in typical {
      let own = records.categories.indices.filter { records.categories[$0] == category }
      wanted[image] = Array(Set(wanted[image] ?? []).union(own)).sorted()
    }
    keeper = MapKeeper(network, context, records.layer, wanted: wanted)
    // Only the paper's template is a function of the map's peak alone.
    let options = network.interpretableLayers.last?.options
    let isSquare = records.layer.width == records.layer.height
    beta = options?.formulation == .paper && isSquare ? options?.beta : nil
  }

  /// One filter: its strongest images with what it answers to, then the average of what it looks at and what its mask does
  /// (if there is one).
  public typealias Pictures = (strongest: [ReportPicture], details: [ReportPicture])

  /// The pictures of every filter; none of a silent one.
  ///
  /// - Parameter progress: told now and then how far it is.
  /// - Throws: `DatasetError` for an image that cannot be read, and what `onPicture` throws.
  public func draw(progress: (_ line: () -> String) -> Void) throws -> [Pictures] {
    let side = max(16, frame.side / 3)
    var averages = strongest.map { _ in AveragePart(side: side) }
    var shown: [[(rank: Int, picture: ReportPicture)]] = strongest.map { _ in [] }
    // Every image is read once, whatever number of filters it is for.
    var uses: [Int: [(filter: Int, rank: Int)]] = [:]
    for (filter, images) in strongest.enumerated() {
      for (rank, image) in images.enumerated() { uses[image.image, default: []].append((filter, rank)) }
    }
    let reader = FramedImage(frame)
    for (index, image) in uses.keys.sorted().enumerated() {
      progress { "drew on \(index) of \(uses.count) images" }
      let path = folder.samples[records.samples[image]].path
      let window = try read(image, reader)
      for (filter, rank) in uses[image]! {
        let peak = records.peakPoint(filter, image)
        averages[filter].add(window, x: peak.x, y: peak.y)
        if rank < Self.shownImages {
          let picture = outlined(window, filter, image)
          try onPicture("\(name(filter))-strongest-\(rank + 1)", picture)
          shown[filter].append((rank, small(picture, filter, image, path)))
        }
      }
    }
    return try strongest.indices.map { filter in
      guard let first = strongest[filter].first else { return ([], []) }
      try onPicture("\(name(filter))-average", averages[filter].image)
      let average = ReportPicture(
        photograph: averages[filter].image, longestSide: 96,
        description:
          "average of what filter \(filter) looks at on its \(averages[filter].count) strongest images")
      let mask = try maskPicture(filter, first.image)
      let images = shown[filter].sorted { $0.rank < $1.rank }.map(\.picture)
      // A square of four, or one alone.
      return (
        images.count < Self.shownImages ? Array(images.prefix(1)) : images,
        [average] + (mask.map { [$0] } ?? [])
      )
    }
  }

  /// By category, the first of the images that most of its filters have among their strongest.
  private static func typicalImages(_ strongest: [[FilterRecords.StrongImage]], _ records: FilterRecords)
    -> [Int: Int]
  {
    var votes: [Int: Int] = [:]
    for image in strongest.flatMap({ $0.map(\.image) }) { votes[image, default: 0] += 1 }
    var result: [Int: Int] = [:]
    for (image, count) in votes.sorted(by: { ($0.value, $1.key) > ($1.value, $0.key) }) where count > 0 {
      let category = records.labels[image]
      if result[category] == nil { result[category] = image }
    }
    return result
  }

  /// By category: the distribution of the parts of all its filters over one of its images (the paper's figure 6), beside
  /// the image.
  ///
  /// - Throws: `DatasetError` for an image that cannot be read, and what `onPicture` throws.
  public func drawCategories() throws -> [Int: ReportPicture] {
    let layer = records.layer
    let reader = FramedImage(frame)
    var pictures: [Int: ReportPicture] = [:]
    for (category, image) in typical {
      let filters = records.categories.indices.filter { records.categories[$0] == category }
      let maps = filters.compactMap { keeper.masked[MapKeeper.Place(image: image, filter: $0)] }
      guard maps.count == filters.count, !maps.isEmpty else { continue }
      let window = try read(image, reader)
      var heat = window
      heat.overlay(
        HeatMap(
          partsIn: maps, thresholds: filters.map { records.threshold($0) }, height: layer.height,
          width: layer.width, side: frame.side
        ).values, strength: 0.6)
      let picture = RGBImage.row([window, heat], gap: 4)
      try onPicture("category-\(category)-parts", picture)
      pictures[category] = ReportPicture(
        photograph: picture, longestSide: 300,
        description: "an image of the category, and where the parts of its \(filters.count) filters lie on it"
      )
    }
    return pictures
  }

  private func read(_ image: Int, _ reader: FramedImage) throws(DatasetError) -> RGBImage {
    let path = folder.samples[records.samples[image]].path
    var bytes: [UInt8] = []
    try folder.read(path, into: &bytes)
    do throws(ImageError) {
      return try reader.read(bytes)
    } catch {
      throw .badImages([BadImage(path: path, reason: error.description)])
    }
  }

  /// The image with the filter's region outlined; a ring at the peak where nothing exceeds the filter's threshold.
  private func outlined(_ window: RGBImage, _ filter: Int, _ image: Int) -> RGBImage {
    var picture = window
    let layer = records.layer
    let map = keeper.masked[MapKeeper.Place(image: image, filter: filter)] ?? []
    let region =
      map.isEmpty
      ? nil
      : ImageResolutionField(
        map: map, height: layer.height, width: layer.width, side: frame.side, above: records.threshold(filter)
      )
    if let region, region.area > 0 {
      picture.highlight(region.pixels, edge: Self.edge)
    } else {
      let peak = records.peakPoint(filter, image)
      picture.ring(x: peak.x, y: peak.y, radius: Double(layer.field.horizontal.stride), Self.edge)
    }
    return picture
  }

  private func name(_ filter: Int) -> String { "filter-" + String(10000 + filter).dropFirst() }

  private func small(_ picture: RGBImage, _ filter: Int, _ image: Int, _ path: String) -> ReportPicture {
    let cell = records.peakCell(filter, image)
    return ReportPicture(
      photograph: picture, longestSide: 112,
      description:
        "\(path): filter \(filter) is strongest in row \(cell.row + 1), column \(cell.column + 1) of its map")
  }

  private func maskPicture(_ filter: Int, _ image: Int) throws -> ReportPicture? {
    let place = MapKeeper.Place(image: image, filter: filter)
    let layer = records.layer
    guard let map = keeper.rectified[place], let masked = keeper.masked[place], layer.height == layer.width,
      layer.index(of: .masked) != layer.index(of: .rectified)
    else { return nil }
    let picture = MaskPicture.draw(
      map: map, masked: masked, side: layer.width, beta: beta, cellSide: max(1, 48 / layer.width))
    try onPicture("\(name(filter))-mask", picture)
    return ReportPicture(
      data: .init(PNGEncoder.encode(picture)), width: picture.width, height: picture.height,
      description: "filter \(filter) on its strongest image: the map, "
        + (beta == nil ? "" : "the template chosen for it, ") + "the masked map")
  }
}
