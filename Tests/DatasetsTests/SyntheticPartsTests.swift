import Testing

@testable import Datasets

@Suite struct SyntheticPartsTests {
  let small = SyntheticParts(.init(categories: 3, imagesPerCategory: 6, negatives: 3, imageSize: 24))

  @Test func filesAreTheSameOnEveryRunAndInMemory() throws {
    let memory = small.folder()
    for _ in 0..<2 {
      let folder = TemporaryFolder()
      try small.write(to: folder.path + "/new/set")
      let disk = try ImageFolder(folder.path + "/new/set")
      #expect(disk.samples == memory.samples && disk.fingerprint == memory.fingerprint)
      let files = disk.samples.map(\.path) + disk.samples.flatMap { $0.parts.compactMap(\.mask) }
      #expect(files.count > 2 * disk.samples.count)
      for file in files {
        var expected: [UInt8] = []
        try memory.read(file, into: &expected)
        #expect(folder.read("new/set/" + file) == expected)
      }
    }
  }

  @Test func picturesDependOnSeedCategoryAndIndexAlone() {
    let more = SyntheticParts(.init(categories: 5, imagesPerCategory: 9, imageSize: 24))
    let other = SyntheticParts(
      .init(categories: 3, imagesPerCategory: 6, negatives: 3, imageSize: 24, seed: 2))
    #expect(small.picture(category: 1, index: 4).image == more.picture(category: 1, index: 4).image)
    #expect(small.picture(category: 1, index: 4).image != more.picture(category: 1, index: 5).image)
    #expect(small.picture(category: 1, index: 4).image != other.picture(category: 1, index: 4).image)
  }

  @Test func theLayoutIsComplete() throws {
    let images = small.folder()
    #expect(images.categories == ["bird", "cat", "fish", "negative"])
    #expect(images.counts(.training) == [5, 5, 5, 3] && images.counts(.validation) == [1, 1, 1, 0])
    #expect(DatasetCheck.verify(images).isEmpty)
    for sample in images.samples {
      #expect(sample.width == 24 && sample.height == 24)
      #expect(sample.parts.isEmpty == (sample.category == images.negativeCategory))
    }
  }

  @Test func annotationsAgreeWithTheMasks() throws {
    let images = small.folder()
    var file: [UInt8] = []
    for sample in images.samples {
      for part in sample.parts {
        try images.read(try #require(part.mask), into: &file)
        let mask = try ImageDecoder().decode(file)
        #expect(mask.width == 24 && mask.height == 24)
        let inside = (0..<(24 * 24)).filter { mask.pixels[3 * $0] == 255 }
        #expect((0..<(24 * 24)).allSatisfy { [0, 255].contains(mask.pixels[3 * $0]) })
        let xs = inside.map { $0 % 24 }, ys = inside.map { $0 / 24 }
        let box = try #require(part.box)
        #expect(box.x0 == Float(xs.min()!) && box.x1 == Float(xs.max()! + 1))
        #expect(box.y0 == Float(ys.min()!) && box.y1 == Float(ys.max()! + 1))
        #expect(abs(part.x - Float(xs.reduce(0, +)) / Float(xs.count) - 0.5) < 1e-4)
        #expect(abs(part.y - Float(ys.reduce(0, +)) / Float(ys.count) - 0.5) < 1e-4)
      }
    }
  }

  /// The head lies on the side the creature looks to, the tail on the other, each part on its creature.
  @Test func partsAreWhereTheyBelong() {
    let set = SyntheticParts(.init(categories: 8, imagesPerCategory: 5, imageSize: 48))
    var tails = 0
    for category in 0..<8 {
      for index in 0..<5 {
        let parts = set.picture(category: category, index: index).parts
        #expect(Set(parts.map(\.part)).count == parts.count)
        guard let head = parts.first(where: { $0.part == "head" }),
          let body = parts.first(where: { $0.part == "body" })
        else {
          Issue.record("no head or no body: category \(category), image \(index)")
          continue
        }
        guard let tail = parts.first(where: { $0.part == "tail" }) else { continue }
        tails += 1
        #expect((head.x - body.x) * (tail.x - body.x) < 0)
      }
    }
    #expect(tails >= 36)
  }

  /// A classifier by the nearest mean colour, of the whole picture or of the body alone, stays near chance.
  @Test(arguments: [false, true]) func theMeanColorTellsNothing(ofBody: Bool) throws {
    let categories = 6, count = 30
    let set = SyntheticParts(.init(categories: categories, imagesPerCategory: count, imageSize: 24))
    func meanColor(_ category: Int, _ index: Int) throws -> [Double] {
      let picture = set.picture(category: category, index: index)
      let body = try #require(picture.parts.firstIndex { $0.part == "body" })
      let places = (0..<(24 * 24)).filter { !ofBody || picture.masks[body][$0] == 255 }
      return (0..<3).map { c in
        places.reduce(0.0) { $0 + Double(picture.image.pixels[3 * $1 + c]) } / Double(places.count)
      }
    }
    let colors = try (0..<categories).map { category in try (0..<count).map { try meanColor(category, $0) } }
    let centers = colors.map { list in (0..<3).map { c in list.prefix(20).reduce(0) { $0 + $1[c] } / 20 } }
    func distance(_ a: [Double], _ b: [Double]) -> Double {
      zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    }
    var right = 0
    for category in 0..<categories {
      for color in colors[category].suffix(10) {
        let nearest = (0..<categories).min { distance(color, centers[$0]) < distance(color, centers[$1]) }
        right += nearest == category ? 1 : 0
      }
    }
    // Chance is 10 of 60; 18 is nearly three standard deviations above.
    #expect(right <= 18)
    #expect(Set(colors.flatMap { $0 }).count == categories * count)
  }

  @Test func aDiskThatRefusesIsNamed() {
    let folder = TemporaryFolder()
    folder.write("file", "x")
    let error = datasetError { try small.write(to: folder.path + "/file/set") }
    #expect(error?.exitCode == 74)
    let missing = datasetError { try writeFile("/proc/nothing/here", [1]) }
    #expect(missing?.description.contains("/proc/nothing/here") == true)
  }
}
