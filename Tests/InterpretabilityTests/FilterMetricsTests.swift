import Communication
import Datasets
import Foundation
import Networks
import Tensors
import TestSupport
import Testing

@testable import Interpretability

@Suite("FilterMetrics") struct FilterMetricsTests {
  // MARK: ranks

  private static func json(_ metrics: FilterMetrics) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(metrics), as: UTF8.self)
  }

  /// A network with random weights on synthetic creatures, each rank with its shares of batches of 7.
  @Sendable private static func measure(
    _ communicator: any Communicator, upscaling: PartInterpretability.Upscaling
  ) throws -> String {
    let folder = SyntheticParts(.init(categories: 3, imagesPerCategory: 25, imageSize: 32)).folder()
    let task = try LearningTask(.multiCategory, on: folder)
    var options = NetworkOptions(outputs: 3, imageSize: 32, interpretable: InterpretableOptions())
    options.widthDivisor = 8
    let network = Architecture.compact.build(options)
    network.store.initialize(seed: 4)
    let context = StepContext()
    context.mode = .evaluation
    context.categoryCount = 3
    var measuring = FilterMetrics.Options()
    measuring.interpretability.upscaling = upscaling
    measuring.records.tailProbability = 0.05
    let study = try FilterStudy(
      network, context, entries: task.validation, classNames: task.classNames, folder,
      InputFrame(imageSize: 32),
      options: measuring,
      RankGather(rank: communicator.rank, rankCount: communicator.size) { try communicator.allGather($0) })
    let preprocessing = Preprocessing(
      imageSize: 32, meanKind: .none, mean: [0, 0, 0], scale: [0.01, 0.01, 0.01])
    let (_, metrics) = try study.run { observer in
      network.observer = observer
      let loader = BatchLoader(
        task, ImageStore(folder, side: 32),
        BatchLoader.Configuration(
          split: .validation, batchSize: 7, rank: communicator.rank, rankCount: communicator.size,
          preprocessing: preprocessing))
      loader.start(epoch: 1, throughEpoch: 1)
      while let batch = try loader.next() {
        context.sampleKeys = batch.sampleKeys
        _ = try network.forward(batch.images, context)
        loader.recycle(batch)
      }
    }
    #expect(network.fusesRectifiers, "as it was before")
    return try json(metrics)
  }

  @Test(
    "1, 2, 3 and 4 ranks find the same to the last digit", arguments: PartInterpretability.Upscaling.allCases)
  func ranks(upscaling: PartInterpretability.Upscaling) throws {
    let one = try Self.measure(SingleProcess(), upscaling: upscaling)
    let object = try #require(try JSONSerialization.jsonObject(with: Data(one.utf8)) as? [String: Any])
    #expect(object["location_instability"] != nil && object["part_interpretability"] != nil)
    #expect((object["left_out"] as? [String: String])?.isEmpty == true)
    for ranks in 2...4 {
      let all = try InProcessGroup.run(size: ranks) { try Self.measure($0, upscaling: upscaling) }
      for other in all { #expect(other == one) }
    }
  }

  // MARK: what cannot be measured

  private func withParts(_ planted: PlantedMaps) -> PlantedMaps {
    var planted = planted
    let side = Float(planted.inputSide)
    for image in 0..<planted.imageCount {
      planted.parts[image] = [
        PartAnnotation(
          part: "head", x: Float(image % 3) + 1, y: 2, box: .init(x0: 0, y0: 0, x1: side, y1: side))
      ]
    }
    return planted
  }

  /// Nothing but numbers goes to the user.
  private func expectFinite(_ metrics: FilterMetrics) throws {
    let text = try Self.json(metrics)
    #expect(!text.contains("null") && text.firstMatch(of: /[:,\[]-?(nan|inf)/.ignoresCase()) == nil)
  }

  @Test("without annotations the metrics that need them are left out and named")
  func noAnnotations() throws {
    let metrics = try FilterRecordsTests.planted().measure().1
    try expectFinite(metrics)
    #expect(metrics.locationInstability == nil && metrics.partInterpretability == nil)
    for name in ["location_instability", "part_interpretability", "covered_parts"] {
      #expect(metrics.leftOut[name] == "no image of the split has annotated parts")
    }
    #expect(metrics.purity != nil && metrics.entropies != nil)
    #expect(metrics.controls.locationInstability == nil && metrics.intervals.locationInstability == nil)
  }

  @Test("landmarks without extent give location instability alone")
  func landmarksOnly() throws {
    var planted = FilterRecordsTests.planted()
    for image in 0..<planted.imageCount {
      planted.parts[image] = [PartAnnotation(part: "eye", x: 3, y: Float(image % 5))]
    }
    let metrics = try planted.measure().1
    #expect(metrics.locationInstability != nil)
    #expect(metrics.leftOut["part_interpretability"] == "the annotated parts have neither masks nor boxes")
  }

  @Test("a part that nobody shows is refused with the parts there are")
  func unknownPart() throws {
    var planted = withParts(FilterRecordsTests.planted())
    planted.options.parts = ["head", "horn"]
    let error = #expect(throws: InterpretabilityError.self) { try planted.measure() }
    #expect(error == .unknownPart(name: "horn", known: ["head"]) && error?.exitCode == 64)
    planted.options.parts = ["head"]
    #expect(try planted.measure().1.settings.parts == ["head"])
  }

  @Test("a part that occurs once, or twice in every image, is not measured")
  func rareParts() throws {
    var planted = withParts(FilterRecordsTests.planted())
    planted.parts[0].append(PartAnnotation(part: "tail", x: 1, y: 1))
    let with = try planted.measure().1
    planted.parts[0].removeLast()
    let without = try planted.measure().1
    #expect(with.locationInstability == without.locationInstability)
    for image in 0..<planted.imageCount { planted.parts[image] += planted.parts[image] }
    let doubled = try planted.measure().1
    #expect(doubled.locationInstability == nil)
    #expect(doubled.leftOut["location_instability"]?.contains("exactly once") == true)
  }

  @Test(
    "an image without any activation, a filter that is silent everywhere",
    arguments: MeasuredLayer.Feature.allCases)
  func silence(feature: MeasuredLayer.Feature) throws {
    var planted = withParts(FilterRecordsTests.planted())
    planted.options.records.peakFeature = feature
    let cells = planted.side * planted.side
    for index in planted.maps.indices {
      if index / cells / planted.filterCount == 4 || index / cells % planted.filterCount == 1 {
        planted.maps[index] = 0
      }
    }
    let (records, metrics) = try planted.measure()
    try expectFinite(metrics)
    #expect(records.categories[1] == nil && metrics.silentFilters == 1)
    let silent = metrics.filters[1]
    #expect(silent.category == nil && silent.locationInstability == nil && silent.purity == nil)
    #expect(metrics.measuredFilters["location_instability"] == 4)
    #expect(records.validCells(0, 4).isEmpty)
  }

  @Test("a network without any activation at all")
  func allSilent() throws {
    var planted = withParts(FilterRecordsTests.planted())
    planted.maps = planted.maps.map { _ in 0 }
    let metrics = try planted.measure().1
    try expectFinite(metrics)
    #expect(metrics.silentFilters == 5 && metrics.purity == nil)
    #expect(metrics.leftOut["purity"] == "no filter fires on any image of the split")
  }

  @Test("maps of one cell have no places")
  func oneCell() throws {
    let metrics = try withParts(FilterRecordsTests.planted(side: 1)).measure().1
    try expectFinite(metrics)
    #expect(metrics.leftOut["location_instability"] == "maps of 1×1 cells have no places")
    #expect(metrics.leftOut["part_interpretability"] == "maps of 1×1 cells have no places")
    #expect(metrics.purity != nil && isClose(metrics.entropies?.prior, log(2.0)))
  }

  @Test("one image, and classes without one")
  func oneImage() throws {
    let metrics = try withParts(FilterRecordsTests.planted(images: 1)).measure().1
    try expectFinite(metrics)
    #expect(metrics.locationInstability == nil && metrics.partInterpretability != nil)
    #expect(metrics.leftOut["purity"] == "the split has images of one category only")
    #expect(metrics.leftOut["categories/b"] == "no image of the class in the split")
    #expect(metrics.categories.map(\.name) == ["a"])
    // One map tells nothing about templates: p(x|T) = p(x) = 1.
    #expect(
      metrics.entropies.map { abs($0.mutualInformation) < 1e-12 && isClose($0.conditional, $0.prior) } == true
    )
  }

  @Test("activations that are not finite are a breakdown, not a figure")
  func notFinite() throws {
    var planted = FilterRecordsTests.planted()
    planted.maps[100] = .nan
    let error = #expect(throws: InterpretabilityError.self) { try planted.measure() }
    #expect(error == .notFinite(layer: "top") && error?.exitCode == 70)
  }

  @Test("a mask of another size than its image is named")
  func badMask() throws {
    var planted = FilterRecordsTests.planted()
    planted.parts[2] = [PartAnnotation(part: "head", x: 1, y: 1, mask: "masks/m.png")]
    planted.masks["masks/m.png"] = PNGEncoder.encode([1, 2], width: 2, height: 1, channels: 1)
    let error = #expect(throws: InterpretabilityError.self) { try planted.measure() }
    #expect(
      error.map { "\($0)".contains("masks/m.png (expected 6×6 pixels like its image, found 2×1)") } == true)
    planted.masks["masks/m.png"] = [1, 2, 3]
    #expect(throws: InterpretabilityError.self) { try planted.measure() }
  }

  @Test("masks change what regions are taken from, not where peaks are")
  func masked() throws {
    var planted = withParts(FilterRecordsTests.planted(side: 5))
    let plain = try planted.measure().0
    planted.isMasked = true
    let masked = try planted.measure().0
    for filter in 0..<planted.filterCount {
      for image in 0..<planted.imageCount {
        #expect(plain.peakCell(filter, image) == masked.peakCell(filter, image))
        #expect(masked.validCells(filter, image).count <= 25)
      }
      #expect(masked.threshold(filter) <= plain.threshold(filter))
    }
    #expect((0..<planted.filterCount).contains { plain.threshold($0) != masked.threshold($0) })
  }

  // MARK: intervals

  @Test("the interval holds the mean, narrows with the values, and is the same every time")
  func bootstrap() throws {
    var random = RandomSource(seed: 6, purpose: .test)
    let values = (0..<200).map { _ in Double(random.uniform()) }
    let mean = values.reduce(0, +) / 200
    let interval = try #require(Bootstrap.interval(values, seed: 1, figure: 1))
    // 1.96 standard errors of 200 uniform numbers on either side.
    let error = 1.96 * (1.0 / 12 / 200).squareRoot()
    #expect(
      abs(interval.lower - (mean - error)) < 0.2 * error && abs(interval.upper - (mean + error)) < 0.2 * error
    )
    #expect(Bootstrap.interval(values, seed: 1, figure: 1) == interval)
    #expect(Bootstrap.interval(values, seed: 2, figure: 1) != interval)
    #expect(Bootstrap.interval([1, 1, 1], seed: 1, figure: 1) == Bootstrap.Interval(lower: 1, upper: 1))
    #expect(Bootstrap.interval([1], seed: 1, figure: 1) == nil)
  }
}
