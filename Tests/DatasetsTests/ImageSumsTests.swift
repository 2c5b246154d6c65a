import Testing

@testable import Datasets

@Suite struct ImageSumsTests {
  /// 31 images of extents that leave fractions when they are resized.
  private static let folder: ImageFolder = {
    var files: [String: [UInt8]] = [:]
    for (c, name) in ["a", "b"].enumerated() {
      for i in 0..<17 {
        let image = patternImage(width: 11 + i % 7, height: 13 + i % 3, variant: 50 * c + i)
        files["images/\(name)/\(100 + i).png"] = PNGEncoder.encode(image)
      }
    }
    return try! ImageFolder(named: "set", files: files)
  }()

  private static func sums(rank: Int = 0, rankCount: Int = 1) throws -> ImageSums {
    try ImageSums(
      LearningTask(.singleCategory("a"), on: folder), ImageStore(folder, side: 9), imageSize: 9, rank: rank,
      rankCount: rankCount)
  }

  @Test("any number of ranks, in any order, the same bits", arguments: [2, 3, 4, 7, 40])
  func ranks(count: Int) throws {
    let one = try Self.sums()
    // Not whole multiples of a grey level, whole multiples of the unit.
    #expect(
      one.values.allSatisfy { $0 == $0.rounded() }
        && one.values.contains { $0 / 65536 != ($0 / 65536).rounded() })
    var joined = one
    joined.values = [Double](repeating: 0, count: one.values.count)
    for rank in (0..<count).reversed() {
      let share = try Self.sums(rank: rank, rankCount: count)
      #expect(share.imageCount == one.imageCount)
      for i in joined.values.indices { joined.values[i] += share.values[i] }
    }
    #expect(joined.values == one.values)
    for kind in Preprocessing.MeanKind.allCases {
      #expect(Preprocessing(joined, meanKind: kind) == Preprocessing(one, meanKind: kind))
    }
  }

  @Test("images of one colour vary by nothing at all")
  func constant() throws {
    var files: [String: [UInt8]] = [:]
    for name in ["a", "b"] {
      for i in 0..<5 {
        files["images/\(name)/\(i).png"] = PNGEncoder.encode(
          plainImage(width: 7 + i, height: 9, [3, 100, 255]))
      }
    }
    let folder = try ImageFolder(named: "plain", files: files)
    let sums = try ImageSums(
      LearningTask(.multiCategory, on: folder), ImageStore(folder, side: 5), imageSize: 5)
    let preprocessing = Preprocessing(sums, meanKind: .channel)
    #expect(preprocessing.scale == [1, 1, 1])
    for (mean, color) in zip(preprocessing.mean, [3, 100, 255] as [Float]) {
      #expect(abs(mean - color) < 1e-4)
    }
  }
}
