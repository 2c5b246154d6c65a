import Foundation
import TestSupport
import Testing

/// Reference cases, one JSON file each; `ICNN_GOLDEN_DIR=DIR` runs the suite on another folder of the same format.
@Suite("Golden")
struct GoldenTests {
  static let folder: URL =
    ProcessInfo.processInfo.environment["ICNN_GOLDEN_DIR"].map { URL(fileURLWithPath: $0) }
    ?? Bundle.module.resourceURL?.appendingPathComponent("Golden") ?? URL(fileURLWithPath: "Golden")

  static let files: [URL] =
    ((try? FileManager.default.contentsOfDirectory(
      at: folder, includingPropertiesForKeys: nil)) ?? [])
    .filter { $0.pathExtension == "json" }
    .sorted { $0.lastPathComponent < $1.lastPathComponent }

  static let kinds: Set = [
    "paper_templates", "paper_layer", "paper_category", "paper_descent", "released_conv_mask",
    "released_training", "network",
  ]

  @Test("the folder holds cases that this suite knows")
  func folderHoldsCases() {
    let known = Self.files.contains { file in
      (try? GoldenCase(file)).map { Self.kinds.contains($0.kind) } ?? false
    }
    #expect(known, "no golden case – \(Self.folder.path) – set ICNN_GOLDEN_DIR to a folder of cases")
  }

  @Test("case", arguments: files.map(\.lastPathComponent))
  func matches(_ name: String) throws {
    let golden = try GoldenCase(Self.folder.appendingPathComponent(name))
    switch golden.kind {
    case "paper_templates": try GoldenPaper.checkTemplates(golden)
    case "paper_layer": try GoldenPaper.checkLayer(golden)
    case "paper_category": try GoldenPaper.checkCategory(golden)
    case "paper_descent": try GoldenPaper.checkDescent(golden)
    case "released_conv_mask":
      try GoldenReleased.checkMask(golden)
      try GoldenReleased.checkConvolution(golden)
    case "released_training": try GoldenTraining.check(golden)
    case "network": try GoldenNetwork.check(golden)
    default:
      print("Golden: skipped \(name), kind \(golden.kind)")
      try Test.cancel("kind \(golden.kind) is not one of this suite")
    }
  }
}

/// Tolerance of a Float implementation where the files state no other.
let goldenTolerance = 2e-6
/// Where tensors vanish up to rounding: goldenTolerance · goldenFloor is an absolute difference of 1e-15.
let goldenFloor = 1e-15 / goldenTolerance
