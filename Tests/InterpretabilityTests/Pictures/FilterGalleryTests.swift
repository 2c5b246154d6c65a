import Networks
import Tensors
import TestSupport
import Testing

@testable import Datasets
@testable import Interpretability

@Suite("FilterGallery") struct FilterGalleryTests {
  /// Filter 0 peaks on each image at a cell of its own, the higher the later the image; filter 1 is silent; filter 2 fires
  /// on the last image alone.
  private func planted(images: Int = 9, side: Int = 4) -> PlantedMaps {
    var maps = [Double](repeating: 0, count: images * 3 * side * side)
    for image in 0..<images {
      maps[image * 3 * side * side + image % (side * side)] = Double(1 + image)
      maps[image * 3 * side * side] += 0.25
    }
    maps[((images - 1) * 3 + 2) * side * side + min(5, side * side - 1)] = 2
    var planted = PlantedMaps(maps, images: images, filters: 3, side: side, stride: 8)
    planted.isMasked = true
    planted.options.records.tailProbability = 0.05
    var picture = RGBImage(width: side * 8, height: side * 8)
    for index in picture.pixels.indices { picture.pixels[index] = UInt8(60 + index % 90) }
    planted.imageBytes = PNGEncoder.encode(picture)
    return planted
  }

  private func gallery(_ planted: PlantedMaps) throws -> FilterGallery {
    let network = planted.network()
    let context = StepContext()
    context.mode = .evaluation
    let folder = try planted.folder()
    let gallery = FilterGallery(
      network, context, try planted.measure().0, folder,
      InputFrame(imageSize: planted.inputSide, Augmentation(cropMargin: 0)))
    network.observer = gallery.keeper
    for image in 0..<planted.imageCount {
      context.sampleKeys = [UInt64(image)]
      _ = try network.forward(planted.input(image..<image + 1), context)
    }
    return gallery
  }

  @Test("maps of the strongest images are kept before and after the mask, and all logits")
  func keeper() throws {
    let planted = planted()
    let keeper = try gallery(planted).keeper
    #expect(keeper.logits.count == 9)
    // The four strongest of filter 0, and the image of the category's picture with all its filters.
    for image in 5..<9 {
      let place = MapKeeper.Place(image: image, filter: 0)
      let map = try #require(keeper.rectified[place])
      let start = image * 3 * 16
      #expect(map == planted.maps[start..<start + 16].map { Float($0) })
      let masked = try #require(keeper.masked[place])
      // The peak stays; the cell in the corner is too far away for the mask or weaker than before.
      #expect(masked[image % 16] == map[image % 16] && masked[0] < map[0])
    }
    #expect(keeper.rectified[MapKeeper.Place(image: 0, filter: 0)] == nil)
    let last = try #require(keeper.rectified[MapKeeper.Place(image: 8, filter: 2)])
    #expect(last == (0..<16).map { $0 == 5 ? 2 : 0 })
  }

  @Test("a filter has its four strongest images, an average and its mask; a silent one has nothing")
  func pictures() throws {
    let planted = planted()
    let pictures = try gallery(planted).draw { _ in }
    #expect(pictures.map(\.strongest.count) == [4, 0, 4] && pictures.map(\.details.count) == [2, 0, 2])
    let names = pictures[0].strongest.map(\.description)
    for (rank, name) in names.enumerated() {
      let image = 8 - rank
      #expect(name.contains("0000\(image).png: filter 0"))
      #expect(name.contains("row \(image / 4 + 1), column \(image % 4 + 1)"))
    }
    let mask = pictures[0].details[1]
    // Three maps of 4×4 cells, 12 pixels each, and two gaps.
    #expect((mask.width, mask.height) == (3 * 48 + 4, 48))
    #expect(mask.description.contains("template"))
  }

  @Test("every picture is handed on in full size, under a name of its own; an error ends it")
  func handedOn() throws {
    struct DiskFull: Error {}
    let gallery = try gallery(planted())
    var pictures: [String: RGBImage] = [:]
    gallery.onPicture = { #expect(pictures.updateValue($1, forKey: $0) == nil) }
    _ = try gallery.draw { _ in }
    _ = try gallery.drawCategories()
    let own = (1...4).map { "strongest-\($0)" } + ["average", "mask"]
    #expect(
      Set(pictures.keys)
        == Set(
          ["filter-0000-", "filter-0002-"].flatMap { filter in own.map { filter + $0 } } + [
            "category-0-parts"
          ]))
    #expect(pictures["filter-0000-strongest-1"]?.width == 32)
    gallery.onPicture = { _, _ in throw DiskFull() }
    #expect(throws: DiskFull.self) { try gallery.draw { _ in } }
  }

  @Test("without a mask there is no picture of one; few images give one picture")
  func ordinary() throws {
    var planted = planted(images: 3)
    planted.isMasked = false
    let pictures = try gallery(planted).draw { _ in }
    #expect(pictures[0].strongest.count == 1 && pictures[0].details.count == 1)
  }

  @Test("a category has a picture of where its filters' parts lie")
  func categories() throws {
    let pictures = try gallery(planted()).drawCategories()
    #expect(Array(pictures.keys) == [0])
    #expect(pictures[0]?.description.contains("its 2 filters") == true)
    #expect(pictures[0].map { $0.width > 2 * $0.height } == true)
  }

  @Test("maps of one cell have pictures too")
  func oneCell() throws {
    let pictures = try gallery(planted(images: 5, side: 1)).draw { _ in }
    #expect(pictures[0].strongest.count == 4)
  }

  @Test("an image that has become unreadable is named")
  func broken() throws {
    var planted = planted()
    planted.imageBytes = [1, 2, 3]
    let gallery = try gallery(planted)
    do {
      _ = try gallery.draw { _ in }
      Issue.record("a broken image was drawn")
    } catch { #expect("\(error)".contains("images/object/0000")) }
  }
}
