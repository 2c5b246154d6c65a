import Foundation
import Tensors

/// Damages bytes, the same way for the same seed: flips, foreign numbers, pieces removed, doubled, moved, cut off.
struct Mutator {
  private var random: RandomSource

  init(seed: UInt64) { random = RandomSource(seed: seed, purpose: .test) }

  /// Inputs of one fuzz test: some thousands, or as `ICNN_FUZZ_INPUTS` says.
  static func inputCount(_ usual: Int) -> Int {
    ProcessInfo.processInfo.environment["ICNN_FUZZ_INPUTS"].flatMap(Int.init) ?? usual
  }

  /// An element of `choices`.
  mutating func pick<Element>(_ choices: [Element]) -> Element { choices[random.index(below: choices.count)] }

  /// `bytes` after one to four changes.
  mutating func mutated(_ bytes: [UInt8]) -> [UInt8] {
    var result = bytes
    for _ in 0..<1 + random.index(below: 4) where !result.isEmpty { change(&result) }
    return result
  }

  private mutating func change(_ bytes: inout [UInt8]) {
    let place = random.index(below: bytes.count)
    switch random.index(below: 9) {
    case 0: bytes[place] ^= 1 << UInt8(random.index(below: 8))
    case 1: bytes[place] = UInt8(truncatingIfNeeded: random.next())
    case 2: overwrite(&bytes, place, pick(Self.numbers))
    case 3: bytes.insert(contentsOf: pick(Self.numbers), at: place)
    case 4: bytes.removeSubrange(place..<min(bytes.count, place + 1 + random.index(below: 16)))
    case 5: bytes.insert(contentsOf: piece(bytes), at: place)
    case 6: overwrite(&bytes, place, piece(bytes))
    // Instructions of pickles, digits and brackets of JSON.
    case 7: bytes[place] = pick(Self.instructions)
    default: if random.index(below: 4) == 0 { bytes.removeSubrange(place...) } else { bytes[place] &+= 1 }
    }
  }

  private mutating func piece(_ bytes: [UInt8]) -> [UInt8] {
    let start = random.index(below: bytes.count)
    return Array(bytes[start..<min(bytes.count, start + 1 + random.index(below: 64))])
  }

  private func overwrite(_ bytes: inout [UInt8], _ place: Int, _ values: [UInt8]) {
    for (offset, value) in values.enumerated() where place + offset < bytes.count {
      bytes[place + offset] = value
    }
  }

  /// What programs trip over.
  private static let numbers: [[UInt8]] = [
    [0], [0xFF], [0x80], [0x7F], [0, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF], [0xFF, 0xFF, 0xFF, 0x7F],
    [0, 0, 0, 0x80],
    [UInt8](repeating: 0xFF, count: 8), [0, 0, 0, 0, 0, 0, 0, 0x80],
    [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
    [UInt8](repeating: 0, count: 8), [0, 0, 0, 0, 1, 0, 0, 0], Array("9223372036854775807".utf8),
    Array("4294967296".utf8),
    Array("-1".utf8), Array("1e999".utf8), Array("null".utf8), Array("99".utf8),
  ]
  private static let instructions: [UInt8] =
    (0...255).filter { PickleOpcodes.all.contains($0) } + Array("{}[],:\"\\0123456789-.".utf8)
}
