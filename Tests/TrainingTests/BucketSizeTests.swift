import Foundation
import Testing

@testable import Training

@Suite("BucketSize") struct BucketSizeTests {
  @Test("a number of MiB or auto, in options, YAML and JSON; the usual one unless something is said")
  func forms() throws {
    #expect(BucketSize("auto") == .automatic && BucketSize("0.5") == .mebibytes(0.5))
    #expect(BucketSize("large") == nil && BucketSize("") == nil)
    for size in [BucketSize.automatic, .mebibytes(0.25), .mebibytes(64)] {
      #expect(BucketSize(size.description) == size)
      var configuration = TrainingConfiguration()
      configuration.bucketSize = size
      let read = try TrainingConfiguration(yaml: try configuration.yaml(), source: "test")
      #expect(read.bucketSize == size)
    }
    #expect(
      try TrainingConfiguration(yaml: "bucket-mebibytes: 2", source: "test").bucketSize == .mebibytes(2))
    #expect(try TrainingConfiguration(yaml: "", source: "test").bucketSize == .mebibytes(4))
    let error = #expect(throws: ConfigurationError.self) {
      _ = try TrainingConfiguration(yaml: "bucket-mebibytes: many", source: "test")
    }
    #expect("\(try #require(error))".contains("auto or a number of MiB"))
  }

  @Test("bytes are those of so many MiB")
  func bytes() {
    #expect(BucketSize.mebibytes(4).bytes == 4_194_304 && BucketSize.mebibytes(0.25).bytes == 262_144)
  }
}
