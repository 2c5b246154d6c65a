import Foundation
import Testing

@testable import Datasets

private let animalPartPath = sampleFolder("animal-part-mini")

/// On real photographs.
@Suite(.enabled(if: animalPartPath != nil, "needs animal-part-mini in ICNN_DATA_DIR"))
struct AnimalPartTests {
  @Test func countsSplitsAndPartsAreThePublishedOnes() throws {
    let images = try ImageFolder(animalPartPath!)
    #expect(images.categories == ["bird", "cat", "fox", "giant_panda", "goldfish", "zebra", "negative"])
    #expect(images.counts(.training) == [Int](repeating: 120, count: 7))
    #expect(images.counts(.validation) == [Int](repeating: 30, count: 7))
    #expect(images.ignoredFiles.isEmpty)
    func count(_ category: String, with part: String) -> Int {
      images.samples.count { sample in
        images.categories[sample.category] == category && sample.parts.contains { $0.part == part }
      }
    }
    #expect(
      ["bird", "cat", "fox", "zebra", "goldfish", "giant_panda"].map { count($0, with: "head") }
        == [150, 139, 150, 104, 120, 150])
    #expect(
      ["bird", "cat", "fox", "zebra", "goldfish", "giant_panda"].map { count($0, with: "leg") }
        == [98, 75, 86, 85, 0, 72])
    let doubled = images.samples.filter { Set($0.parts.map(\.part)).count < $0.parts.count }
    #expect(Set(doubled.map { images.categories[$0.category] }) == ["zebra"] && doubled.count == 3)
  }

  @Test func splitsAreTheAnnotatedOnesAndGroupsAreWhole() throws {
    let images = try ImageFolder(animalPartPath!)
    let text = try String(contentsOfFile: animalPartPath! + "/annotations.jsonl", encoding: .utf8)
    var splitOfPath: [String: String] = [:]
    for line in text.split(separator: "\n") {
      let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      splitOfPath[object["image"] as! String] = object["split"] as? String
    }
    #expect(splitOfPath.count == 1050)
    #expect(images.samples.allSatisfy { splitOfPath[$0.path] == $0.split.rawValue })
    let groups = Dictionary(grouping: images.samples.filter { $0.group != nil }) { $0.group! }
    #expect(!groups.isEmpty && groups.values.allSatisfy { Set($0.map(\.split)).count == 1 })
  }

  @Test func everyImageIsUsable() throws {
    #expect(DatasetCheck.verify(try ImageFolder(animalPartPath!)).isEmpty)
  }
}
