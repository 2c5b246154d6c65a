import Foundation
import Testing

@testable import Datasets

private let sample = sampleFolder("animal-part-original-sample")

/// On 40 elephants in the published layout.
@Suite(.enabled(if: sample != nil, "needs animal-part-original-sample in ICNN_DATA_DIR"))
struct AnimalPartImportTests {
  @Test func objectsAndPartsAreTheExpectedOnes() throws {
    let folder = TemporaryFolder()
    let summary = try DataImport(try AnimalPart.plan(sample!), to: folder.path + "/set", longestSide: 10_000)
      .run()
    #expect(summary.written == 44 && summary.kept == 0)
    #expect(summary.leftOut.map(\.examples) == [["elephant 00035.jpg"]])
    let lines = try importedLines(folder.path + "/set")
    let images = try #require(try expectedValues(sample!)["images"] as? [[String: Any]])
    #expect(images.count == 40)
    for image in images {
      let file = image["file"] as! String
      let line = lines.first { $0.image == "images/elephant/\(file)" }
      guard image["area_ok"] as! Bool else {
        #expect(line == nil)
        continue
      }
      let found = try #require(line)
      let crop = image["crop"] as! [Int]
      #expect([found.bbox.xmin, found.bbox.ymin, found.bbox.xmax, found.bbox.ymax] == crop, "\(file)")
      #expect(found.sourceSize == image["size"] as! [Int])
      #expect(found.width == crop[2] - crop[0] + 1 && found.height == crop[3] - crop[1] + 1)
      for name in ["head", "leg"] {
        let expected = image[name] as! [[String: [Double]]]
        let parts = found.parts.filter { $0.part == name }
        #expect(parts.count == expected.count, "\(name) of \(file)")
        for (part, truth) in zip(parts, expected) {
          let width = Double(found.width), height = Double(found.height), box = try #require(part.box)
          #expect(abs(Double(part.y) / height * 224 + 0.5 - truth["hw"]![0]) < 1e-3)
          #expect(abs(Double(part.x) / width * 224 + 0.5 - truth["hw"]![1]) < 1e-3)
          #expect(abs(Double(box.y1 - box.y0) / height * 224 - truth["scale"]![0]) < 1e-3)
          #expect(abs(Double(box.x1 - box.x0) / width * 224 - truth["scale"]![1]) < 1e-3)
        }
      }
    }
  }

  @Test func theAuthorsSplitIsTheExpectedOne() throws {
    let plan = try AnimalPart.plan(sample!, split: .authors)
    let images = try #require(try expectedValues(sample!)["images"] as? [[String: Any]])
    var compared = 0
    for item in plan.items where item.category == "elephant" {
      let image = try #require(images.first { ($0["file"] as! String) == item.stem + ".jpg" })
      #expect(item.split.rawValue == image["split_09_of_40"] as! String, "\(item.stem)")
      compared += 1
    }
    #expect(compared == 39 && plan.items.allSatisfy { $0.group == nil })
  }

  @Test func objectsOfOnePhotographStayTogether() throws {
    let folder = TemporaryFolder()
    _ = try DataImport(try AnimalPart.plan(sample!), to: folder.path + "/set", longestSide: 120).run()
    let images = try ImageFolder(folder.path + "/set")
    #expect(images.categories == ["elephant", "negative"])
    let groups = Dictionary(grouping: images.samples) { $0.group! }
    #expect(groups.values.count { $0.count > 1 } == 9)
    #expect(groups.values.allSatisfy { Set($0.map(\.split)).count == 1 })
    #expect(images.counts(.validation)[0] >= 2 && images.counts(.validation)[1] == 1)
    #expect(images.samples.allSatisfy { max($0.width!, $0.height!) <= 120 })
    #expect(DatasetCheck.verify(images).isEmpty)
    // 00023 shows two heads.
    let double = try #require(images.samples.first { $0.path.hasSuffix("elephant/00023.jpg") })
    #expect(double.parts.map(\.part) == ["head", "head"])
  }

  @Test func missingPiecesAreNamed() throws {
    let folder = TemporaryFolder()
    let copy = folder.path + "/copy"
    try FileManager.default.copyItem(atPath: sample!, toPath: copy)
    func code(_ remove: String) throws -> (Int32?, String) {
      try FileManager.default.removeItem(atPath: copy + "/" + remove)
      let error = datasetError { _ = try AnimalPart.plan(copy) }
      return (error?.exitCode, error?.description ?? "")
    }
    try Data("version https://git-lfs.github.com/spec/v1\n".utf8).write(
      to: URL(fileURLWithPath: copy + "/n02503517_obj/img/data.mat"))
    #expect(datasetError { _ = try AnimalPart.plan(copy) }?.description.contains("Git LFS") == true)
    // Without data.mat the annotated objects still have boxes.
    try FileManager.default.removeItem(atPath: copy + "/n02503517_obj/img/data.mat")
    let annotated = try AnimalPart.plan(copy)
    #expect(annotated.notes.contains { $0.contains("data.mat is missing") })
    #expect(annotated.items.count { $0.category == "elephant" } < 39 && annotated.omissions.list.count == 2)
    let truth = try code("data_input_DET-2015-subset-ILSVRC2013train")
    #expect(truth.0 == 66 && truth.1.contains("data_input_DET"))
    let objects = try code("n02503517_obj")
    #expect(objects.0 == 66 && objects.1.contains("detanimalpart"))
  }

  @Test func theRuleOfTheAuthorsRoundsAsMATLAB() {
    #expect(ImportPlan.authorsTrainingIndices(of: 10) == [1, 2, 3, 4, 6, 7, 8, 9, 10])
    #expect(ImportPlan.authorsTrainingIndices(of: 1) == [1])
    #expect(ImportPlan.authorsTrainingIndices(of: 0).isEmpty)
  }
}
