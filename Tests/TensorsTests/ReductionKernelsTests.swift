import CKernels
import Foundation
import Tensors
import TestSupport
import Testing

/// The bfloat16 number nearest to x, found among its two neighbours in Double; of two at the same distance the even
/// one. Not for NaN.
private func nearest(_ x: Float) -> UInt16 {
  let below = UInt16(x.bitPattern >> 16)
  if x.isInfinite { return below }
  // The next larger magnitude; after the largest number comes 2^128, which stands for infinity.
  let magnitude = { (bits: UInt16) in
    bits & 0x7FFF == 0x7F80 ? 0x1p128 : Double(Float(bitPattern: UInt32(bits & 0x7FFF) << 16))
  }
  let lower = abs(Double(x)) - magnitude(below)
  let upper = magnitude(below + 1) - abs(Double(x))
  if lower != upper { return lower < upper ? below : below + 1 }
  return below % 2 == 0 ? below : below + 1
}

private func rounded(_ values: [Float]) -> [UInt16] {
  var result = [UInt16](repeating: 0xAAAA, count: values.count)
  ck_bfloat16_round(values, &result, Int64(values.count))
  return result
}

@Suite struct ReductionKernelsTests {
  @Test(
    "copies are added in their order, and nothing else is touched", arguments: InstructionSet.available,
    [0, 1, 15, 16, 17, 63, 64, 65, 1000])
  func sum(set: InstructionSet, count: Int) {
    for copyCount in 1...5 {
      for resultCount in [1, copyCount] {
        for offset in [0, 3, 16] {
          var random = RandomSource(seed: 9, purpose: .test, UInt64(count + copyCount))
          let length = offset + count + 5
          // Magnitudes far apart, so that the order of the additions shows.
          let before = (0..<copyCount).map { _ in
            (0..<length).map { _ in
              random.uniform(-1, 1) * Float(sign: .plus, exponent: 12, significand: random.uniform(0, 1))
            }
          }
          var expected = before
          for i in offset..<(offset + count) {
            let sum = before.dropFirst().reduce(before[0][i]) { $0 + $1[i] }
            for r in 0..<resultCount { expected[r][i] = sum }
          }
          let copies = before.map { values -> UnsafeMutablePointer<Float>? in
            let copy = UnsafeMutablePointer<Float>.allocate(capacity: length)
            copy.initialize(from: values, count: length)
            return copy
          }
          defer { for copy in copies { copy?.deallocate() } }
          withKernels(set) {
            ck_sum_copies(copies, Int64(copyCount), Int64(resultCount), Int64(offset), Int64(count))
          }
          for r in 0..<copyCount {
            let after = (0..<length).map { copies[r]![$0].bitPattern }
            #expect(after == expected[r].map(\.bitPattern), "copy \(r) of \(copyCount), offset \(offset)")
          }
        }
      }
    }
  }

  @Test("a NaN or an infinity of any copy is in all of them", arguments: InstructionSet.available)
  func broken(set: InstructionSet) {
    for broken in 0..<3 {
      var a = [Float](repeating: 1, count: 70)
      var b = a
      var c = a
      for (r, value) in [(broken, Float.nan), ((broken + 1) % 3, .infinity)] {
        let place = value.isNaN ? 66 : 7
        if r == 0 { a[place] = value } else if r == 1 { b[place] = value } else { c[place] = value }
      }
      a.withUnsafeMutableBufferPointer { a in
        b.withUnsafeMutableBufferPointer { b in
          c.withUnsafeMutableBufferPointer { c in
            let copies = [a.baseAddress, b.baseAddress, c.baseAddress]
            withKernels(set) { ck_sum_copies(copies, 3, 3, 0, 70) }
          }
        }
      }
      for copy in [a, b, c] {
        #expect(copy[66].isNaN && copy[7] == .infinity)
        #expect(copy.enumerated().allSatisfy { $0 == 66 || $0 == 7 || $1 == 3 })
      }
    }
  }

  // Values of IEEE 754 by hand: 1.0 is 0x3F80, its neighbours 2^-7 apart.
  private static let golden: [(UInt32, UInt16)] = [
    (0x0000_0000, 0x0000), (0x8000_0000, 0x8000), (0x3F80_0000, 0x3F80),
    // Ties: to even, down from 1 + 2^-8, up from 1 + 3 · 2^-8.
    (0x3F80_8000, 0x3F80), (0x3F81_8000, 0x3F82), (0xBF81_8000, 0xBF82),
    // Just beside the ties.
    (0x3F80_7FFF, 0x3F80), (0x3F80_8001, 0x3F81), (0x3F81_7FFF, 0x3F81), (0x3F81_8001, 0x3F82),
    // A carry through the whole significand.
    (0x3FFF_FFFF, 0x4000), (0x3FFF_8000, 0x4000),
    // The largest float is nearer to 2^128 than to the largest bfloat16; what is below the middle is not.
    (0x7F7F_FFFF, 0x7F80), (0x7F7F_8000, 0x7F80), (0x7F7F_7FFF, 0x7F7F), (0xFF7F_FFFF, 0xFF80),
    (0x7F80_0000, 0x7F80), (0xFF80_0000, 0xFF80),
    // NaN: quiet ones stay, signalling ones become quiet, also if all that was set is rounded away.
    (0x7FC0_0000, 0x7FC0), (0xFFC1_2345, 0xFFC1), (0x7F80_0001, 0x7FC0), (0x7FFF_FFFF, 0x7FFF),
    // Denormals: the least rounds to zero, half of the least bfloat16 too (tie), three halves to two.
    (0x0000_0001, 0x0000), (0x0000_8000, 0x0000), (0x0000_8001, 0x0001), (0x0001_8000, 0x0002),
    (0x8001_8000, 0x8002), (0x007F_FFFF, 0x0080),
  ]

  @Test("rounding to bfloat16, by hand", arguments: InstructionSet.available)
  func roundingByHand(set: InstructionSet) {
    for padding in [0, 40] {
      // Alone they run through the loop's tail, with padding through its vectors.
      for (bits, expected) in Self.golden {
        let values = [Float](repeating: Float(bitPattern: bits), count: 1 + padding)
        #expect(
          withKernels(set) { rounded(values) }.allSatisfy { $0 == expected }, "\(String(bits, radix: 16))")
      }
    }
  }

  @Test(
    "rounding to bfloat16 is to the nearest, for numbers of every exponent",
    arguments: InstructionSet.available)
  func rounding(set: InstructionSet) {
    var random = RandomSource(seed: 4, purpose: .test, 8)
    var values: [Float] = []
    for exponent in UInt32(0)...254 {
      for sign in [0, UInt32(1) << 31] {
        for significand in [0, 0x7FFF, 0x8000, 0x8001, 0x7F_7FFF, 0x7F_8000, 0x7F_FFFF]
          + (0..<20).map({ _ in
            UInt32(random.uniform(0, 1) * 0x7F_FFFF)
          })
        {
          values.append(Float(bitPattern: sign | exponent << 23 | significand))
        }
      }
    }
    #expect(withKernels(set) { rounded(values) } == values.map(nearest))
  }

  @Test("every bfloat16 stands for one float", arguments: InstructionSet.available)
  func expansion(set: InstructionSet) {
    let all = (0...UInt16.max).map { $0 }
    var values = [Float](repeating: -1, count: all.count)
    withKernels(set) { ck_bfloat16_expand(all, &values, Int64(all.count)) }
    #expect(values.map(\.bitPattern) == all.map { UInt32($0) << 16 })
  }

  @Test(
    "bfloat16 operands are added in float and rounded once", arguments: InstructionSet.available,
    [0, 1, 16, 511, 512, 513, 1500])
  func bfloat16Sum(set: InstructionSet, count: Int) {
    for operandCount in 1...5 {
      let stride = count + 3
      let values = randomValues(operandCount * stride + 1, seed: UInt64(count + operandCount))
      let operands = values.map { UInt16($0.bitPattern >> 16) }
      let number = { (i: Int) in Float(bitPattern: UInt32(operands[i]) << 16) }
      let expected = (0..<count).map { i in
        nearest((1..<operandCount).reduce(number(i)) { $0 + number($1 * stride + i) })
      }
      var sums = [UInt16](repeating: 0xAAAA, count: count + 1)
      withKernels(set) {
        ck_bfloat16_sum(operands, Int64(operandCount), Int64(stride), &sums, Int64(count))
      }
      #expect(sums.last == 0xAAAA)
      #expect(Array(sums.dropLast()) == expected)
    }
    // 256 + 1/2 + 1/2: added in bfloat16 both halves would be lost.
    var sum: UInt16 = 0
    withKernels(set) { ck_bfloat16_sum([0x3F00, 0x3F00, 0x4380], 3, 1, &sum, 1) }
    #expect(sum == 0x4380)
    withKernels(set) { ck_bfloat16_sum([0x4380, 0x3F80, 0x3F80], 3, 1, &sum, 1) }
    #expect(sum == 0x4381)
  }
}
