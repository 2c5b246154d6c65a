import CKernels
import Communication
import Foundation

// For people, not for tests.

/// Seconds on the clock, and processor seconds of all ranks together, of one run of `body`.
private func time(_ communicator: any Communicator, _ body: () throws -> Void) throws -> (
  wall: Double, processor: Double
) {
  try communicator.barrier()
  var before = rusage()
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &before)
  let elapsed = try ContinuousClock().measure(body)
  var after = rusage()
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &after)
  let seconds = { (usage: rusage) in
    Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
      + 1e-6 * Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
  }
  let wall = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
  return try (
    communicator.allReduce([wall], .maximum)[0],
    communicator.allReduce([seconds(after) - seconds(before)], .sum)[0]
  )
}

/// Latency of 8 doubles and throughput of 64 MiB, as one line.
func measure(_ communicator: any Communicator) throws {
  var small = [Double](repeating: 0, count: 8)
  var large = [Float](repeating: 0, count: 16 << 20)
  let latency = try median(2001) {
    try time(communicator) { try reduce(&small) { communicator.startAllReduce($0, .sum) } }.wall
  }
  let seconds = try median(11) {
    try time(communicator) { try reduce(&large) { communicator.startAllReduce($0, .sum) } }.wall
  }
  if communicator.rank == 0 {
    print("8 doubles: \(latency * 1e6) us; 64 MiB: \(seconds * 1e3) ms, \(0.0625 / seconds) GiB/s")
  }
}

private func median(_ repeats: Int, _ body: () throws -> Double) rethrows -> Double {
  try (0..<repeats).map { _ in try body() }.sorted()[repeats / 2]
}

/// From the gradients of vgg16, 553 MB, to new parameters, by every path and bucket size, in turn: medians and least of
/// seven runs.
func measureGradients(_ communicator: any Communicator) throws {
  let count = 138_357_544
  let limit = GradientSetting.current.nodeLimit
  let paths: [(String, GradientSetting)] = [
    ("plain", GradientSetting(path: .plain, precision: .float32, nodeLimit: limit)),
    ("plain bfloat16", GradientSetting(path: .plain, precision: .bfloat16, nodeLimit: limit)),
    ("window", GradientSetting(path: .window, precision: .float32, nodeLimit: limit)),
  ]
  let gradients = try paths.map { try ProbeGradients(communicator, count: count, $0.1) }
  for exchange in gradients { exchange.values.update(repeating: 0) }
  // A copy of one's gradients reads and writes each byte once: what memory allows at most.
  var cases: [(name: String, body: () throws -> Void)] = [
    (
      "copy",
      { gradients[0].values.baseAddress!.update(from: gradients[1].values.baseAddress!, count: count) }
    )
  ]
  for (index, path) in paths.enumerated() {
    for mebibytes in [1, 4, 16] {
      let bucket = mebibytes << 18
      cases.append(
        (
          "\(path.0), buckets of \(mebibytes) MiB",
          {
            for upper in stride(from: count, to: 0, by: -bucket) {
              gradients[index].start(max(0, upper - bucket)..<upper)
            }
            try gradients[index].exchange.finish()
            gradients[index].update()
            _ = try gradients[index].exchange.finishUpdate(succeeded: true)
          }
        ))
    }
  }
  var times = [[(wall: Double, processor: Double)]](repeating: [], count: cases.count)
  for _ in 0..<7 {
    for (index, one) in cases.enumerated() { times[index].append(try time(communicator, one.body)) }
  }
  guard communicator.rank == 0 else { return }
  for (index, one) in cases.enumerated() {
    let wall = times[index].map(\.wall).sorted()
    let processor = times[index].map(\.processor).sorted()
    let milliseconds = { (seconds: Double) in String(format: "%.1f", seconds * 1e3) }
    print(
      "\(one.name): \(milliseconds(wall[3])) ms, least \(milliseconds(wall[0])); processor time of all ranks "
        + "\(milliseconds(processor[3])) ms, least \(milliseconds(processor[0]))")
  }
}

extension ProbeGradients {
  /// The update of this rank's share.
  fileprivate func update() {
    let share = exchange.share
    let range = share?.range ?? 0..<values.count
    let piece = [
      ck_update_range_t(
        offset: Int64(range.lowerBound), count: Int64(range.count), learningRateMultiplier: 1,
        weightDecayMultiplier: 1)
    ]
    let arenas = (share?.gradients ?? [values.baseAddress!]).map { UnsafePointer<Float>?($0) }
    piece.withUnsafeBufferPointer { piece in
      arenas.withUnsafeBufferPointer { arenas in
        var update = ck_update_t(
          ranges: piece.baseAddress, rangeCount: 1, values: parameters.baseAddress,
          velocities: velocities.baseAddress, gradients: arenas.baseAddress,
          gradientCount: Int64(arenas.count))
        _ = ck_momentum_update(&update, 0.1, 0.9, 5e-4)
      }
    }
  }
}
