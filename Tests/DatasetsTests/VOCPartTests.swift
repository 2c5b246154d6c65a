import Foundation
import Testing

@testable import Datasets

private let sample = sampleFolder("vocpart-sample")

@Suite(.enabled(if: sample != nil, "needs vocpart-sample in ICNN_DATA_DIR"))
struct VOCPartTests {
  @Test func objectsAndPartsAreTheExpectedOnes() throws {
    let folder = TemporaryFolder()
    let plan = try VOCPart.plan(sample!, classes: ["bird", "boat"], parts: .separate)
    let summary = try DataImport(plan, to: folder.path + "/set").run()
    #expect(summary.leftOut.map(\.count) == [1])
    let lines = try importedLines(folder.path + "/set")
    var compared = 0
    for image in try #require(try expectedValues(sample!)["images"] as? [[String: Any]]) {
      let id = (image["image"] as! NSString).deletingPathExtension
      for (index, object) in (image["objects"] as! [[String: Any]]).enumerated() {
        let category = object["cls"] as! String
        let line = lines.first { $0.image == "images/\(category)/\(id)_\(index + 1).jpg" }
        guard object["authors_area_ok"] as! Bool else {
          #expect(line == nil)
          continue
        }
        let found = try #require(line)
        let box = object["box_1based"] as! [Int]
        #expect([found.bbox.xmin, found.bbox.ymin, found.bbox.xmax, found.bbox.ymax] == box)
        let parts = object["parts"] as! [String: [String: Any]]
        #expect(Set(found.parts.map(\.part)) == Set(parts.keys))
        for part in found.parts {
          let truth = parts[part.part]!["box_1based"] as! [Int], edges = try #require(part.box)
          #expect(
            abs(edges.x0 - Float(truth[0] - box[0])) < 1e-3
              && abs(edges.x1 - Float(truth[2] - box[0] + 1)) < 1e-3)
          #expect(
            abs(edges.y0 - Float(truth[1] - box[1])) < 1e-3
              && abs(edges.y1 - Float(truth[3] - box[1] + 1)) < 1e-3)
          let hw = parts[part.part]!["hw224"] as! [Double]
          // The authors' formula: from pixel to pixel, so half a pixel less on each side.
          #expect(abs((Double(part.x) - 0.5) / Double(box[2] - box[0]) * 224 - hw[1]) < 1e-2)
          #expect(abs((Double(part.y) - 0.5) / Double(box[3] - box[1]) * 224 - hw[0]) < 1e-2)
          compared += 1
        }
      }
    }
    #expect(compared > 25)
    #expect(lines.contains { $0.category == "boat" && $0.parts.isEmpty })
  }

  @Test func partsAreMergedAsThePaperMeasuresThem() throws {
    let plan = try VOCPart.plan(sample!)
    #expect(Set(plan.items.map(\.category)) == ["bird"])
    let separate = try VOCPart.plan(sample!, parts: .separate)
    for (merged, published) in zip(plan.items, separate.items) {
      #expect(Set(merged.parts.map(\.name)).count == merged.parts.count)
      #expect(Set(merged.parts.map(\.name)).isSubset(of: ["head", "neck", "torso", "legs", "tail"]))
      func edges(_ names: [String]) -> [Double] {
        let boxes = published.parts.filter { names.contains($0.name) }.map { $0.box! }
        return [
          boxes.map { $0[0] }.min()!, boxes.map { $0[1] }.min()!, boxes.map { $0[2] }.max()!,
          boxes.map { $0[3] }.max()!,
        ]
      }
      #expect(merged.parts.first { $0.name == "head" }?.box == edges(["head", "leye", "reye", "beak"]))
      #expect(merged.parts.first { $0.name == "torso" }?.box == edges(["torso", "lwing", "rwing"]))
    }
  }

  @Test func groupsAreThoseOfTheAuthorsCode() {
    #expect(
      VOCPart.mergedName("lfho", "horse") == "front legs"
        && VOCPart.mergedName("rblleg", "cow") == "back legs")
    #expect(VOCPart.mergedName("tail", "cow") == nil && VOCPart.mergedName("tail", "dog") == "tail")
    #expect(VOCPart.mergedName("lhorn", "sheep") == "head" && VOCPart.mergedName("rfoot", "bird") == "legs")
    #expect(VOCPart.mergedName("wheel_1", "bus") == "wheel_1")
  }

  @Test func aDamagedAnnotationIsNamed() throws {
    let folder = TemporaryFolder()
    try FileManager.default.copyItem(atPath: sample! + "/VOC_part", toPath: folder.path + "/voc")
    let path = folder.path + "/voc/Annotations_Part/2008_000202.mat"
    let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    try bytes.prefix(bytes.count / 2).write(to: URL(fileURLWithPath: path))
    let error = datasetError { _ = try VOCPart.plan(folder.path + "/voc") }
    #expect(error?.exitCode == 65 && error?.description.contains(path) == true)
  }
}
