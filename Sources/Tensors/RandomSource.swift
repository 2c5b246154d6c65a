import CKernels

/// A stream of random numbers that is a pure function of its name: (seed, purpose, a, b).
///
/// Philox4x32-10 (Salmon et al., SC 2011) over a counter. Nothing depends on how many numbers another stream has
/// drawn, on threads or on ranks: the augmentation of sample 17 in epoch 3 is the same everywhere.
public struct RandomSource: RandomNumberGenerator, Sendable {
  /// What a stream is for; streams of different purposes never meet.
  public enum Purpose: UInt8, Sendable {
    case initialization = 1
    case permutation, augmentation, dropout, synthesis, test, filterTypes, evaluation
  }

  private let key: UInt64
  private let counterHigh: UInt64
  private var counterLow: UInt64 = 0
  private var pending: UInt64 = 0
  private var hasPending = false

  /// The stream named by seed, purpose and two further numbers (epoch and sample, step and layer, …).
  public init(seed: UInt64, purpose: Purpose, _ a: UInt64 = 0, _ b: UInt64 = 0) {
    key = Self.key(seed: seed, purpose: purpose, a)
    counterHigh = b
  }

  /// The Philox key of (seed, purpose, a), for kernels that draw by counter.
  public static func key(seed: UInt64, purpose: Purpose, _ a: UInt64) -> UInt64 {
    mix(mix(seed ^ (UInt64(purpose.rawValue) << 56)) &+ a)
  }

  /// 64 uniform bits.
  public mutating func next() -> UInt64 {
    if hasPending {
      hasPending = false
      return pending
    }
    var out: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
    withUnsafeMutableBytes(of: &out) {
      ck_philox(key, counterHigh, counterLow, $0.baseAddress!.assumingMemoryBound(to: UInt32.self))
    }
    counterLow &+= 1
    pending = UInt64(out.3) << 32 | UInt64(out.2)
    hasPending = true
    return UInt64(out.1) << 32 | UInt64(out.0)
  }

  /// Uniform in [0, 1), 24 bits.
  public mutating func uniform() -> Float { Float(next() >> 40) * 0x1p-24 }

  /// Uniform in [lower, upper).
  public mutating func uniform(_ lower: Float, _ upper: Float) -> Float {
    lower + (upper - lower) * uniform()
  }

  /// A random index in 0..<count, without bias.
  public mutating func index(below count: Int) -> Int { Int.random(in: 0..<count, using: &self) }

  /// A permutation of 0..<count (Fisher–Yates).
  public mutating func permutation(_ count: Int) -> [Int] {
    var order = Array(0..<count)
    for i in stride(from: count - 1, to: 0, by: -1) { order.swapAt(i, index(below: i + 1)) }
    return order
  }

  /// SplitMix64's finaliser (Steele, Lea, Flood 2014).
  private static func mix(_ value: UInt64) -> UInt64 {
    var z = value &+ 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
