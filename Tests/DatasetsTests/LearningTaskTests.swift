import Testing

@testable import Datasets

@Suite struct LearningTaskTests {
  func makeFolder(_ classes: [(name: String, count: Int)]) throws -> ImageFolder {
    var files: [String: [UInt8]] = [:]
    for item in classes {
      for i in 0..<item.count { files["images/\(item.name)/\(1000 + i).png"] = [0] }
    }
    return try ImageFolder(named: "set", files: files)
  }

  @Test func multiCategoryLeavesCounterExamplesOut() throws {
    let folder = try makeFolder([("a", 10), ("b", 20), ("negative", 10)])
    let task = try LearningTask(.multiCategory, on: folder)
    #expect(task.outputs == 2 && task.classNames == ["a", "b"])
    #expect(task.training.map(\.label) == [Int](repeating: 0, count: 9) + [Int](repeating: 1, count: 18))
    #expect(task.validation.map(\.sample) == [9, 19, 29])
    #expect(task.density == [10.0 / 30, 20.0 / 30])
    #expect(task.sign(label: 1, output: 1) == 1 && task.sign(label: 1, output: 0) == -1)
  }

  /// 9 training positives, 18 + 9 training counter-examples: T = 81, each positive nine times.
  @Test func singleCategoryRepeatsPositives() throws {
    let folder = try makeFolder([("a", 20), ("b", 10), ("negative", 10)])
    let task = try LearningTask(.singleCategory("b"), on: folder)
    #expect(task.outputs == 1 && task.classNames == ["b", "other"])
    let positives = task.training.filter { $0.label == 0 }.map(\.sample)
    #expect(positives == (0..<81).map { 20 + $0 % 9 })
    #expect(task.training.filter { $0.label == 1 }.count == 27)
    #expect(task.validation.map(\.label) == [1, 1, 0, 1])
    #expect(task.density == [82.0 / 112])
    #expect(task.sign(label: 0, output: 0) == 1 && task.sign(label: 1, output: 0) == -1)
    let once = try LearningTask(.singleCategory("b"), on: folder, positivesPerCounterExample: 0)
    #expect(once.training.count == 36)
  }

  /// The list is cut within a repetition: 4 positives, 3 counter-examples, T = 9.
  @Test func theLastRepetitionIsCut() throws {
    let task = try LearningTask(.singleCategory("a"), on: try makeFolder([("a", 5), ("b", 4)]))
    #expect(task.training.filter { $0.label == 0 }.map(\.sample) == [0, 1, 2, 3, 0, 1, 2, 3, 0])
  }

  @Test func nothingIsDroppedWhenPositivesAbound() throws {
    let task = try LearningTask(.singleCategory("a"), on: try makeFolder([("a", 50), ("negative", 2)]))
    #expect(task.training.map(\.label) == [Int](repeating: 0, count: 45) + [1])
  }

  @Test func impossibleTasks() throws {
    let folder = try makeFolder([("a", 2), ("negative", 2)])
    let one = datasetError { _ = try LearningTask(.multiCategory, on: folder) }
    #expect(one?.exitCode == 65 && one!.description.contains("single-category"))
    let unknown = datasetError { _ = try LearningTask(.singleCategory("c"), on: folder) }
    #expect(unknown == .unknownCategory(name: "c", known: ["a"]) && unknown?.exitCode == 64)
    #expect(datasetError { _ = try LearningTask(.singleCategory("negative"), on: folder) }?.exitCode == 64)
    let single = try makeFolder([("a", 1), ("b", 1)])
    #expect(
      datasetError { _ = try LearningTask(.multiCategory, on: single) }
        == .emptySplit(category: "all classes", split: .validation))
    let rest = folder.excluding([BadImage(path: "images/a/1000.png", reason: "x")])
    #expect(
      datasetError { _ = try LearningTask(.singleCategory("a"), on: rest) }
        == .emptySplit(category: "a", split: .training))
  }
}
