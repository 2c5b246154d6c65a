import Foundation
import Testing

@testable import Datasets

/// On a layout written by the test.
@Suite struct DataImportTests {
  let folder = TemporaryFolder()
  var source: String { folder.path + "/source" }
  var output: String { folder.path + "/output" }

  init() {
    for i in 1...12 {
      let image = patternImage(width: 70 + i, height: 64, variant: i)
      folder.write("source/photographs/\(i).jpg", encodeJPEG(image))
    }
  }

  func plan() -> ImportPlan {
    var plan = ImportPlan(layout: "test", source: source)
    var items = (1...12).map { i in
      ImportItem(
        source: "photographs/\(i).jpg",
        box: PixelBox(xmin: i == 2 ? -3 : 3, ymin: 5, xmax: 62, ymax: i == 3 ? 500 : 60),
        category: i % 2 == 0 ? "even" : "odd", stem: "\(i)", split: .training, group: "g\((i + 1) / 2)",
        parts: [
          ImportPart(name: "head", frame: .photograph, x: 12, y: 14, box: [10, 12, 14, 16]),
          ImportPart(name: "leg", frame: .crop224, x: 112, y: 56),
        ])
    }
    ImportPlan.divide(&items, by: .photographs, numbers: Array(1...12), of: 12)
    plan.items = items
    return plan
  }

  @Test func aSecondRunChangesNothingAndBytesAreAlwaysTheSame() throws {
    let first = try DataImport(plan(), to: output).run()
    #expect(first.written == 12 && first.kept == 0)
    let files = try contents(output)
    #expect(files.count == 14)
    let second = try DataImport(plan(), to: output).run()
    #expect(second.written == 0 && second.kept == 12 && second.description.contains("nothing to do"))
    #expect(try contents(output) == files)
    let other = folder.path + "/other"
    _ = try DataImport(plan(), to: other).run()
    #expect(try contents(other) == files)
  }

  @Test func anInterruptedImportGoesOn() throws {
    _ = try DataImport(plan(), to: output).run()
    let files = try contents(output)
    // As a kill leaves it: some images missing, one half written beside its place, no annotations; and a disk's fault.
    for name in ["images/even/4.jpg", "images/odd/11.jpg", "annotations.jsonl"] {
      folder.remove("output/" + name)
    }
    folder.write("output/images/even/4.jpg.part", [1, 2, 3])
    folder.write("output/images/even/6.jpg", Array(files["images/even/6.jpg"]!.prefix(300)))
    let summary = try DataImport(plan(), to: output).run()
    #expect(summary.written == 3 && summary.kept == 9)
    #expect(try contents(output) == files)
  }

  @Test func partsFollowTheirObjects() throws {
    _ = try DataImport(plan(), to: output, longestSide: 30).run()
    let lines = try importedLines(output)
    let plain = try #require(lines.first { $0.image == "images/odd/1.jpg" })
    #expect(plain.width == 30 && plain.height == 28)
    // The crop begins at (2, 4) and is 60 x 56 pixels large.
    let head = plain.parts[0], leg = plain.parts[1]
    #expect(head.x == 5 && head.y == 5 && head.box == .init(x0: 4, y0: 4, x1: 6, y1: 6))
    #expect(leg.x == 15 && leg.y == 7)
    let clamped = try #require(lines.first { $0.image == "images/even/2.jpg" })
    #expect(clamped.bbox == PixelBox(xmin: 1, ymin: 5, xmax: 62, ymax: 60))
    let tall = try #require(lines.first { $0.image == "images/odd/3.jpg" })
    #expect(tall.bbox.ymax == 64)
    #expect(DatasetCheck.verify(try ImageFolder(output)).isEmpty)
  }

  @Test func pixelsAreThoseOfTheBox() throws {
    let image = patternImage(width: 71, height: 64, variant: 1)
    folder.write("source/photographs/1.jpg", PNGEncoder.encode(image))
    _ = try DataImport(plan(), to: output).run()
    let made = try ImageDecoder().decode(folder.read("output/images/odd/1.jpg"))
    var expected = RGBImage(width: 60, height: 56)
    for y in 0..<56 {
      for x in 0..<60 {
        for c in 0..<3 {
          expected.pixels[(y * 60 + x) * 3 + c] = image.pixels[((y + 4) * 71 + x + 2) * 3 + c]
        }
      }
    }
    #expect(made == (try ImageDecoder().decode(JPEGEncoder.encode(expected, quality: 95))))
  }

  @Test func whatCannotBeUsedIsLeftOutAndCounted() throws {
    folder.write("source/photographs/5.jpg", [1, 2, 3])
    folder.remove("source/photographs/7.jpg")
    var plan = plan()
    plan.items[8].box = PixelBox(xmin: 900, ymin: 1, xmax: 950, ymax: 60)
    let summary = try DataImport(plan, to: output).run()
    #expect(summary.written == 9)
    #expect(
      summary.leftOut.map { "\($0.reason): \($0.examples)" }.sorted() == [
        "a damaged photograph: [\"photographs/5.jpg\"]",
        "a photograph that is not there or cannot be read: [\"photographs/7.jpg\"]",
        "an object outside of its photograph: [\"photographs/9.jpg\"]",
      ])
    #expect(try ImageFolder(output).samples.count == 9)
  }

  @Test func foreignFoldersAndLinksAreRefused() throws {
    _ = try DataImport(plan(), to: output).run()
    let other = datasetError { _ = try DataImport(plan(), to: output, longestSide: 40).run() }
    #expect(other?.exitCode == 64 && other?.description.contains("--output") == true)
    folder.write("foreign/mine.txt", "x")
    #expect(datasetError { _ = try DataImport(plan(), to: folder.path + "/foreign").run() }?.exitCode == 64)
    // A folder of the output that was replaced by a link must not be followed.
    try FileManager.default.createDirectory(
      atPath: folder.path + "/outside", withIntermediateDirectories: true)
    folder.remove("output/images/odd")
    try FileManager.default.createSymbolicLink(
      atPath: output + "/images/odd", withDestinationPath: folder.path + "/outside")
    #expect(datasetError { _ = try DataImport(plan(), to: output).run() }?.exitCode == 64)
    #expect(try contents(folder.path + "/outside").isEmpty)
  }

  @Test func aLinkInAnImagesPlaceIsReplacedNotFollowed() throws {
    _ = try DataImport(plan(), to: output).run()
    let files = try contents(output)
    folder.write("victim", "untouched")
    folder.remove("output/images/odd/1.jpg")
    for name in ["1.jpg", "1.jpg.part"] {
      try FileManager.default.createSymbolicLink(
        atPath: output + "/images/odd/" + name, withDestinationPath: folder.path + "/victim")
    }
    _ = try DataImport(plan(), to: output).run()
    #expect(folder.read("victim") == Array("untouched".utf8))
    #expect(try contents(output) == files)
  }

  @Test(arguments: ["", ".", "..", "a/b", "/a", "a\0b", "..\\x", ".x", String(repeating: "x", count: 201)])
  func namesThatLeadElsewhereAreRefused(_ name: String) {
    #expect(datasetError { _ = try safeName(name, from: "list") }?.exitCode == 65)
  }
}
