import Foundation
import Testing

@testable import Datasets

/// Damaged annotations end in a data set or in a typed error, never in a trap. ICNN_FUZZ_INPUTS asks for more inputs.
@Suite struct AnnotationMutationTests {
  private static let lines = [
    #"{"image":"images/a/001.png","category":"a","split":"train","width":10,"height":9,"group":"g","parts":[]}"#,
    #"{"image":"images/a/002.png","split":"val","parts":[{"part":"head","x":1.5,"y":2,"box":[0,1,3,4]}]}"#,
    #"{"image":"images/b/001.png","parts":[{"part":"leg","x":1e1,"y":-2,"mask":"masks/b.png"}]}"#,
  ]

  @Test func damagedAnnotationsDoNoHarm() throws {
    let original = Array(Self.lines.joined(separator: "\n").utf8)
    let image = PNGEncoder.encode(patternImage(width: 10, height: 9))
    let files = Dictionary(
      uniqueKeysWithValues: ["a/001", "a/002", "b/001", "b/002"].map { ("images/\($0).png", image) })
    #expect(try ImageFolder(named: "whole", files: files, annotations: original).samples.count == 4)
    let count = ProcessInfo.processInfo.environment["ICNN_FUZZ_INPUTS"].flatMap(Int.init) ?? 400
    var random = SplitMix(state: 20_261_125)
    var outcomes: [String: Int] = [:]
    for number in 0..<count {
      let bytes = random.mutated(original)
      let error = datasetError { _ = try ImageFolder(named: "damaged", files: files, annotations: bytes) }
      if let error { #expect(error.exitCode == 65, "input \(number): \(error)") }
      outcomes[error == nil ? "read" : "refused", default: 0] += 1
    }
    // Most changes break a line, some only a number or a name of a field that is not needed.
    #expect(outcomes["refused", default: 0] > count / 4 && outcomes["read", default: 0] > 0, "\(outcomes)")
  }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
private struct SplitMix {
  var state: UInt64

  mutating func index(below count: Int) -> Int {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return Int((z ^ (z >> 31)) % UInt64(count))
  }

  /// One to four changes: a bit, a byte, a telling text, a piece gone, a piece twice.
  mutating func mutated(_ original: [UInt8]) -> [UInt8] {
    let telling = [
      "1e999", "-0", "null", "{", "]", "\"", "\\ud800", "99999999999999999999", "NaN", "[[[[", "\n", "../",
    ]
    var bytes = original
    for _ in 0...index(below: 4) {
      let at = index(below: bytes.count - 1), end = min(bytes.count, at + 1 + index(below: 12))
      switch index(below: 5) {
      case 0: bytes[at] ^= 1 << UInt8(index(below: 8))
      case 1: bytes[at] = UInt8(index(below: 256))
      case 2:
        bytes.replaceSubrange(
          at..<min(bytes.count, at + 1), with: Array(telling[index(below: telling.count)].utf8))
      case 3: bytes.removeSubrange(at..<end)
      default: bytes.insert(contentsOf: Array(bytes[at..<end]), at: at)
      }
    }
    return bytes
  }
}
