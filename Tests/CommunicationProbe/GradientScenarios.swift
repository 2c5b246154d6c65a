import Communication
import Foundation

/// How the ranks of this run add up gradients, from the environment that a test sets.
struct GradientSetting {
  let path: ReductionPath
  let precision: ExchangePrecision
  /// Ranks that are taken for a node.
  let nodeLimit: Int

  static let current = GradientSetting(
    path: variable("PROBE_REDUCTION").flatMap(ReductionPath.init) ?? .automatic,
    precision: variable("PROBE_EXCHANGE").flatMap(ExchangePrecision.init) ?? .float32,
    nodeLimit: variable("PROBE_NODE_LIMIT").flatMap { Int($0) } ?? .max)

  private static func variable(_ name: String) -> String? { ProcessInfo.processInfo.environment[name] }
}

/// Gradients and parameters with memory, as a training has them.
struct ProbeGradients {
  let exchange: GradientExchange
  /// This rank's gradients.
  let values: UnsafeMutableBufferPointer<Float>
  /// This rank's parameters.
  let parameters: UnsafeMutableBufferPointer<Float>
  let velocities: UnsafeMutableBufferPointer<Float>
  /// One place per rank, where all of them share a window.
  let shared: UnsafeMutablePointer<Float>?
  private let sumArenas: [UnsafeMutablePointer<Float>]

  init(_ communicator: any Communicator, count: Int, _ setting: GradientSetting = .current) throws {
    exchange = communicator.gradientExchange(setting.path, setting.precision)
    let memory = exchange.storage?(count, 64)
    try exchange.requireRoute()
    let arena = { (memory: UnsafeMutablePointer<Float>?) in
      UnsafeMutableBufferPointer(start: memory ?? .allocate(capacity: count), count: count)
    }
    values = arena(memory?.gradients)
    parameters = arena(memory?.values)
    velocities = arena(memory?.velocities)
    shared = memory?.shared
    sumArenas = exchange.share?.gradients ?? [values.baseAddress!]
  }

  /// After `finish`: the sum that an update finds at an index. The probe is compiled without optimisation: no closures.
  func sum(_ index: Int) -> Float {
    var sum = sumArenas[0][index]
    var arena = 1
    while arena < sumArenas.count {
      sum += sumArenas[arena][index]
      arena += 1
    }
    return sum
  }

  /// What is looked at: a sample in every share.
  private static let interval = 61

  /// What an update does, with numbers that tell when they were written.
  func update(step: Int) {
    let range = exchange.share?.range ?? 0..<values.count
    let first = (range.lowerBound + Self.interval - 1) / Self.interval * Self.interval
    for index in stride(from: first, to: range.upperBound, by: Self.interval) {
      velocities[index] += Float(index % 1000)
      parameters[index] = Float(index % 4096 + step)
    }
  }

  /// After `finishUpdate`: the first index that holds something else.
  func firstNotUpdated(step: Int, updates: Int) -> Int? {
    for index in stride(from: 0, to: parameters.count, by: Self.interval) {
      if parameters[index] != Float(index % 4096 + step) { return index }
      let velocity = Float(updates * (index % 1000))
      if exchange.share != nil && velocities[index] != velocity { return index }
    }
    return nil
  }

  func start(_ range: Range<Int>) { exchange.start(UnsafeMutableBufferPointer(rebasing: values[range])) }
}

/// SplitMix64: the same numbers on all ranks.
struct ProbeRandom: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

/// What `rank` has found for gradient `index` in `step`: magnitudes over forty binary orders, both signs, some zeros.
func gradient(_ rank: Int, _ index: Int, step: Int) -> Float {
  var random = ProbeRandom(state: UInt64(index * 131 + rank * 7_919 + step * 104_729))
  let bits = random.next()
  if bits & 31 == 0 { return 0 }
  let mantissa = Float(bits >> 40) / Float(1 << 24) - 0.5
  return mantissa * Float(sign: .plus, exponent: Int(bits >> 8 & 31) - 20, significand: 1)
}

/// The bfloat16 number nearest to x, ties to even, found among its neighbours in Double.
func nearestBFloat16(_ x: Float) -> Float {
  guard x.isFinite else { return x }
  let towardsZero = Float(bitPattern: x.bitPattern & 0xFFFF_0000)
  let awayBits = (x.bitPattern & 0xFFFF_0000) &+ 0x1_0000
  let away = Float(bitPattern: awayBits)
  // Beyond the largest bfloat16 the next would be 2^128.
  let awayValue = away.isInfinite ? (x < 0 ? -1 : 1) * pow(2.0, 128) : Double(away)
  let below = abs(Double(x) - Double(towardsZero))
  let above = abs(awayValue - Double(x))
  if below != above { return below < above ? towardsZero : away }
  return awayBits >> 16 & 1 == 0 ? away : towardsZero
}

/// The sum of the first half, a power of two, and of the rest.
func inTree(_ values: ArraySlice<Float>) -> Float {
  guard values.count > 1 else { return values.first! }
  var half = 1
  while 2 * half < values.count { half *= 2 }
  return inTree(values.prefix(half)) + inTree(values.dropFirst(half))
}

/// The sum over ranks as the route defines it, and the error that the order of additions may make.
func expectedSum(_ values: [Float], _ route: GradientExchange.Route, _ setting: GradientSetting)
  -> (sum: Float, tolerance: Double)
{
  let inOrder = { (values: [Float]) in values.dropFirst().reduce(values[0], +) }
  let magnitude = values.reduce(0) { $0 + Double(abs($1)) }
  switch (route, setting.precision) {
  case (.none, _): return (values[0], 0)
  case (.window(nodes: 1, _), _): return (inOrder(values), 0)
  case (.shards, _): return (inTree(values[...]), 0)
  case (.window, _):
    let nodes = stride(from: 0, to: values.count, by: setting.nodeLimit).map {
      inOrder(Array(values[$0..<min($0 + setting.nodeLimit, values.count)]))
    }
    if setting.precision == .bfloat16 { return (nearestBFloat16(inOrder(nodes.map(nearestBFloat16))), 0) }
    return (inOrder(nodes), nodes.count == 2 ? 0 : magnitude * 1e-6)
  case (.plain, .bfloat16): return (nearestBFloat16(inOrder(values.map(nearestBFloat16))), 0)
  case (.plain, .float32): return (inOrder(values), values.count == 2 ? 0 : magnitude * 1e-6)
  }
}

/// Buckets of random lengths, from the arena's end to its front, at random times, over several steps and in two
/// exchanges at once. Bits are compared where the route defines them.
func checkGradients(_ communicator: any Communicator) throws {
  let (rank, size) = (communicator.rank, communicator.size)
  let setting = GradientSetting.current
  var fingerprint = Fingerprint()
  // More than one chunk of an all-reduce; an odd length.
  let exchanges = try [(1 << 20) + 99_999, 257].map { try ProbeGradients(communicator, count: $0) }
  let route = exchanges[0].exchange.route
  var random = ProbeRandom(state: 5)
  var pauses = ProbeRandom(state: UInt64(rank))
  for step in 0..<4 {
    for gradients in exchanges {
      let values = gradients.values
      let arenas = [values, gradients.parameters, gradients.velocities]
      try expect(
        step > 0 || gradients.exchange.storage == nil || arenas.allSatisfy { $0.allSatisfy { $0 == 0 } },
        "not zeroed")
      for index in values.indices { values[index] = gradient(rank, index, step: step) }
      let broken = step * 17
      if rank == size - 1 { values[broken] = .nan }
      var upper = values.count
      while upper > 0 {
        // Fewer numbers than ranks, odd numbers of vectors, and more than a chunk.
        let length = [1, 2, 3, 15, 16, 17, 1000, 70_001, 1 << 20].randomElement(using: &random)!
        let lower = max(0, upper - (upper < 300 ? min(length, 40) : length))
        gradients.start(lower..<upper)
        upper = lower
        if pauses.next() % 8 == 0 { usleep(UInt32(pauses.next() % 3000)) }
      }
      if step % 2 == 0 { try gradients.exchange.finish() }
    }
    for gradients in exchanges {
      let values = gradients.values
      try gradients.exchange.finish()
      let broken = step * 17
      try expect(gradients.sum(broken).isNaN, "a NaN was lost: \(gradients.sum(broken))")
      for index in values.indices where index != broken && (index % 37 == step || index < 300) {
        let contributions = (0..<size).map { gradient($0, index, step: step) }
        let (sum, tolerance) = expectedSum(contributions, route, setting)
        try expect(
          abs(Double(gradients.sum(index)) - Double(sum)) <= tolerance,
          "step \(step), gradient \(index): \(gradients.sum(index)), expected \(sum) from \(contributions)")
      }
      for index in values.indices where index != broken { fingerprint.add(gradients.sum(index).bitPattern) }
      gradients.update(step: step)
      // One rank's failure is every rank's on its node; without shares all look at the same sums.
      let failing =
        gradients.exchange.share != nil && step == 2 && communicator.localRank % setting.nodeLimit == 0
      let succeeded = try gradients.exchange.finishUpdate(succeeded: !failing)
      try expect(
        succeeded == (gradients.exchange.share == nil || step != 2), "step \(step): succeeded \(succeeded)")
      let late = gradients.firstNotUpdated(step: step, updates: step + 1)
      try expect(late == nil, "step \(step), parameter \(late ?? 0): not updated")
    }
  }
  try sumInHaste(communicator)
  try communicator.agree(on: [AgreementField("fingerprint of all gradients", fingerprint.value)])
  if rank == 0 { print("gradients ok ranks=\(size) route=\(route) fingerprint=\(fingerprint.value)") }
}

/// One bucket a step, read as soon as it is said to be summed, updated, and written again: nobody may be late in any.
func sumInHaste(_ communicator: any Communicator) throws {
  let size = communicator.size
  let gradients = try ProbeGradients(communicator, count: 1 << 18)
  for round in 0..<300 {
    // Sums below 256 are exact in bfloat16 too.
    let own = Float(communicator.rank + round % 50)
    gradients.values.update(repeating: own)
    gradients.shared?[communicator.rank * 16] = Float(round)
    gradients.start(0..<gradients.values.count)
    try gradients.exchange.finish()
    let sum = Float(size * (round % 50) + size * (size - 1) / 2)
    let early = stride(from: 4095, to: gradients.values.count, by: 4096).first {
      gradients.sum($0) != sum
    }
    try expect(early == nil, "round \(round), gradient \(early ?? 0): not yet summed")
    let stale = (0..<size).first { rank in
      gradients.shared.map { $0[rank * 16] != Float(round) } ?? false
    }
    try expect(stale == nil, "round \(round): what rank \(stale ?? 0) shares is not there")
    gradients.update(step: round)
    _ = try gradients.exchange.finishUpdate(succeeded: true)
    let late = gradients.firstNotUpdated(step: round, updates: round + 1)
    try expect(late == nil, "round \(round), parameter \(late ?? 0): not updated")
  }
}

/// The last rank means another bucket than the others.
func meanDifferentBuckets(_ communicator: any Communicator) throws {
  let gradients = try ProbeGradients(communicator, count: 1000)
  gradients.start(500..<1000)
  if communicator.rank == communicator.size - 1 {
    gradients.start(0..<400)
  } else {
    gradients.start(0..<500)
  }
  try gradients.exchange.finish()
}

/// The last rank is killed in the middle of a step, or ends all ranks (code 70) while its communication thread waits
/// for buckets that the others never start.
func loseARank(_ communicator: any Communicator, killed: Bool) throws {
  let gradients = try ProbeGradients(communicator, count: 1 << 20)
  let isLast = communicator.rank == communicator.size - 1
  for step in 0... {
    for bucket in (0..<8).reversed() {
      if step == 20 && bucket == 4 {
        if killed && isLast { kill(getpid(), SIGKILL) }
        if !killed && !isLast { while true { sleep(1) } }
      }
      gradients.start((bucket << 17)..<((bucket + 1) << 17))
      if step == 20 && bucket == 4 && !killed {
        usleep(200_000)
        communicator.abort(code: 70)
      }
    }
    try gradients.exchange.finish()
    _ = try gradients.exchange.finishUpdate(succeeded: true)
  }
}
