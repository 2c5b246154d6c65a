@testable import MATFiles

/// Damages files by a seed: the same inputs on every run.
struct Mutator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  /// SplitMix64 (Steele, Lea, Flood 2014).
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func index(below count: Int) -> Int { Int(next() % UInt64(count)) }

  /// One to eight changes: a bit, a byte, a telling number, a piece repeated, a piece gone. The 128 bytes of MATLAB's header stay.
  mutating func mutated(_ original: [UInt8]) -> [UInt8] {
    var bytes = original
    for _ in 0...index(below: 8) {
      let at = 128 + index(below: bytes.count - 136)
      switch index(below: 5) {
      case 0: bytes[at] ^= 1 << UInt8(index(below: 8))
      case 1: bytes[at] = UInt8(truncatingIfNeeded: next())
      case 2:
        let telling: [UInt64] = [
          0, 1, .max, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 40, UInt64(bytes.count),
        ]
        let number = telling[index(below: telling.count)]
        for i in 0..<(index(below: 2) == 0 ? 4 : 8) {
          bytes[at + i] = UInt8(truncatingIfNeeded: number >> (8 * i))
        }
      case 3:
        let length = min(1 + index(below: 64), bytes.count - at)
        let from = 128 + index(below: bytes.count - 128 - length)
        bytes.replaceSubrange(at..<(at + length), with: Array(bytes[from..<(from + length)]))
      default:
        let length = min(1 + index(below: 64), bytes.count - at - 8, bytes.count - 400)
        if length > 0 { bytes.removeSubrange(at..<(at + length)) }
      }
    }
    return bytes
  }

  /// A few words for what came of it.
  static func kind(_ error: MATFileError?) -> String {
    switch error {
    case nil: "read"
    case .damaged(_, let reason): reason.contains("signal") || reason.contains("gave up") ? reason : "refused"
    case .noVariable: "no variable"
    default: "other"
    }
  }
}
