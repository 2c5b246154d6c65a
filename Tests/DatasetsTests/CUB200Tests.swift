import Foundation
import Testing

@testable import Datasets

private let sample = sampleFolder("cub-sample")

@Suite(.enabled(if: sample != nil, "needs cub-sample in ICNN_DATA_DIR"))
struct CUB200Tests {
  @Test func birdsAndPartsAreTheExpectedOnes() throws {
    let folder = TemporaryFolder()
    let summary = try DataImport(try CUB200.plan(sample!), to: folder.path + "/set").run()
    #expect(summary.written == 5 && summary.leftOut.map(\.count) == [1])
    let lines = try importedLines(folder.path + "/set")
    for image in try #require(try expectedValues(sample!)["images"] as? [[String: Any]]) {
      let path = "images/" + (image["image"] as! String)
      guard image["authors_area_ok"] as! Bool else {
        #expect(!lines.contains { $0.image == path })
        continue
      }
      let line = try #require(lines.first { $0.image == path })
      #expect(line.category == image["class_name"] as! String)
      #expect(line.split == (image["is_train"] as! Int == 1 ? .training : .validation))
      #expect(line.sourceSize == image["size"] as! [Int])
      let box = image["bbox_xywh"] as! [Double]
      #expect(line.bbox.xmin == max(1, Int(box[0])) && line.bbox.xmax == Int(box[0] + box[2]))
      let expected = image["visible_parts"] as! [String: [String: Any]]
      #expect(Set(line.parts.map(\.part)) == Set(expected.keys) && line.parts.count == expected.count)
      for part in line.parts {
        let truth = try #require(expected[part.part])
        let x = Double(part.x) + Double(line.bbox.xmin) - 0.5,
          y = Double(part.y) + Double(line.bbox.ymin) - 0.5
        #expect(abs(x - Double(truth["x"] as! Int)) < 1e-3 && abs(y - Double(truth["y"] as! Int)) < 1e-3)
        let hw = truth["hw224"] as! [Double]
        #expect(
          abs((x - box[0]) / box[2] * 224 - hw[1]) < 1e-2 && abs((y - box[1]) / box[3] * 224 - hw[0]) < 1e-2)
      }
    }
    let images = try ImageFolder(folder.path + "/set")
    #expect(images.categories.count == 3 && DatasetCheck.verify(images).isEmpty)
  }

  @Test(arguments: [
    "../../../etc/passwd", "/etc/passwd", "a/../b.jpg", "../x.jpg", "001.A/..", ".hidden/x.jpg",
  ])
  func namesThatLeadOutsideAreRefused(_ name: String) throws {
    let folder = TemporaryFolder()
    let copy = folder.path + "/copy"
    try FileManager.default.copyItem(atPath: sample! + "/CUB_200_2011", toPath: copy)
    let table = copy + "/images.txt"
    let text = try String(contentsOfFile: table, encoding: .utf8)
    let first = text.split(separator: "\n")[0]
    try Data(text.replacingOccurrences(of: first, with: "1 " + name).utf8).write(
      to: URL(fileURLWithPath: table))
    let error = datasetError { _ = try CUB200.plan(copy) }
    #expect(error?.exitCode == 65 && error?.description.contains("images.txt") == true)
    guard case .unsafeName = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test(arguments: [
    "images.txt", "classes.txt", "image_class_labels.txt", "train_test_split.txt", "bounding_boxes.txt",
    "parts/parts.txt", "parts/part_locs.txt",
  ])
  func tablesThatAreMissingOrDamagedAreNamed(_ name: String) throws {
    let folder = TemporaryFolder()
    let copy = folder.path + "/copy"
    try FileManager.default.copyItem(atPath: sample! + "/CUB_200_2011", toPath: copy)
    let path = copy + "/" + name
    try Data("one 2 3\n".utf8).write(to: URL(fileURLWithPath: path))
    let damaged = datasetError { _ = try CUB200.plan(copy) }
    #expect(damaged?.exitCode == 65 && damaged?.description.contains(path + ", line 1") == true)
    try FileManager.default.removeItem(atPath: path)
    let missing = datasetError { _ = try CUB200.plan(copy) }
    #expect(missing?.exitCode == 66 && missing?.description.contains(path) == true)
  }
}
