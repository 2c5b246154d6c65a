import Communication
import Foundation

// One rank of a test that runs under mpirun: does what its first argument names, checks what it got, and ends with
// the exit code that a training would end with.

/// A result that is not what the definition of the operation says.
struct WrongResult: Error {
  let what: String
}

/// 64-bit FNV-1a, over everything that was received.
struct Fingerprint {
  private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

  mutating func add(_ bytes: some Sequence<UInt8>) {
    for byte in bytes { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
  }

  mutating func add(_ word: UInt32) { value = (value ^ UInt64(word)) &* 0x100_0000_01b3 }

  mutating func add<Element>(_ values: [Element]) { values.withUnsafeBytes { add($0) } }
}

func reduce<Element>(
  _ values: inout [Element], _ start: (UnsafeMutableBufferPointer<Element>) -> PendingReduction
) throws {
  try values.withUnsafeMutableBufferPointer { try start($0).wait() }
}

func expect(_ condition: Bool, _ what: @autoclosure () -> String) throws {
  if !condition { throw WrongResult(what: what()) }
}

func close(_ value: Double, _ expected: Double, _ tolerance: Double) -> Bool {
  value == expected || abs(value - expected) <= tolerance * max(1, abs(expected))
}

/// What `rank` contributes at `index`; every fourth logarithm is that of zero.
func contribution(_ rank: Int, _ index: Int, _ operation: ReductionOperation) -> Double {
  if case .logSumExp = operation, (index + rank) % 4 == 1 || index % 5 == 0 { return -.infinity }
  return sin(Double(rank * 7919 + index)) * 30
}

func expected(_ ranks: Int, _ index: Int, _ operation: ReductionOperation) -> Double {
  let values = (0..<ranks).map { contribution($0, index, operation) }
  return switch operation {
  case .sum: values.reduce(0, +)
  case .minimum: values.min()!
  case .maximum: values.max()!
  case .logSumExp: log(values.map { exp($0) }.reduce(0, +))
  }
}

/// Every collective, against its definition; all ranks must hold the same bits.
func checkCollectives(_ communicator: any Communicator) throws {
  let (rank, size) = (communicator.rank, communicator.size)
  var fingerprint = Fingerprint()
  for operation in [ReductionOperation.sum, .minimum, .maximum, .logSumExp] {
    for count in [0, 1, 8, 1000] {
      var doubles = (0..<count).map { contribution(rank, $0, operation) }
      try reduce(&doubles) { communicator.startAllReduce($0, operation) }
      var floats = (0..<count).map { Float(contribution(rank, $0, operation)) }
      try reduce(&floats) { communicator.startAllReduce($0, operation) }
      for index in 0..<count {
        let value = expected(size, index, operation)
        try expect(
          close(doubles[index], value, 1e-12), "Double \(operation) \(index): \(doubles[index]), \(value)")
        try expect(close(Double(floats[index]), value, 1e-5), "Float \(operation) \(index): \(floats[index])")
      }
      fingerprint.add(doubles)
      fingerprint.add(floats)
    }
    // A NaN of the last rank, and zeros of either sign, arrive alike everywhere.
    var odd = [rank == size - 1 ? Double.nan : 1, rank == 0 ? 0.0 : -0.0]
    try reduce(&odd) { communicator.startAllReduce($0, operation) }
    try expect(odd[0].isNaN, "\(operation) lost a NaN")
    fingerprint.add([odd[1]])
  }

  // More than one chunk of 4 MiB, the last one uneven.
  let count = (3 << 20) + 5
  var floats = [Float](repeating: Float(rank + 1), count: count)
  floats[count - 1] = Float(rank * 10)
  try reduce(&floats) { communicator.startAllReduce($0, .sum) }
  let sum = Float(size * (size + 1) / 2)
  try expect(floats.dropLast().allSatisfy { $0 == sum }, "a large sum is not \(sum)")
  try expect(
    floats[count - 1] == Float(size * (size - 1) / 2 * 10), "the last of a large sum: \(floats[count - 1])")

  // Many under way at once, waited for from the last.
  var many = (0..<300).map { Double($0 * (rank + 1)) }
  try many.withUnsafeMutableBufferPointer { values in
    func start(from index: Int) throws {
      let range = UnsafeMutableBufferPointer(rebasing: values[index...index])
      let pending = communicator.startAllReduce(range, .sum)
      if index + 1 < values.count { try start(from: index + 1) }
      try pending.wait()
    }
    try start(from: 0)
  }
  try expect(many == (0..<300).map { Double($0 * size * (size + 1) / 2) }, "reductions under way at once")

  for root in 0..<size {
    var bytes = (0..<100).map { UInt8(truncatingIfNeeded: $0 * (rank + 3)) }
    try bytes.withUnsafeMutableBytes { try communicator.broadcast($0, root: root) }
    try expect(
      bytes == (0..<100).map { UInt8(truncatingIfNeeded: $0 * (root + 3)) }, "broadcast from \(root)")
  }
  let gathered = try communicator.allGather([UInt8](repeating: UInt8(rank), count: rank * 3))
  try expect(gathered == (0..<size).map { [UInt8](repeating: UInt8($0), count: $0 * 3) }, "allGather")
  try communicator.barrier()

  try communicator.agree(on: [AgreementField("fingerprint of all results", fingerprint.value)])
  if rank == 0 {
    print("collectives ok ranks=\(size) local=\(communicator.localSize) fingerprint=\(fingerprint.value)")
  }
}

/// The launcher's variables say what MPI says.
func checkEnvironment(_ communicator: any Communicator) throws {
  let launch = LaunchEnvironment.current
  try expect(launch.rank == communicator.rank && launch.size == communicator.size, "\(launch)")
  try expect(launch.localRank == communicator.localRank, "\(launch)")
  try expect(launch.localSize == communicator.localSize, "\(launch)")
  if communicator.rank == 0 { print("environment ok \(launch.launcher) \(type(of: communicator))") }
}

/// Steps until a rank receives SIGUSR1; all must leave the loop at the same step.
func stepUntilStopped(_ communicator: any Communicator) throws -> Int {
  let received = DispatchSemaphore(value: 0)
  signal(SIGUSR1, SIG_IGN)
  let source = DispatchSource.makeSignalSource(signal: SIGUSR1, queue: .global())
  source.setEventHandler { received.signal() }
  source.resume()
  defer { source.cancel() }
  let guardian = StepGuard(communicator)
  // Each rank tells its process identifier, so that one alone can be signalled.
  let own = withUnsafeBytes(of: getpid()) { Array($0) }
  let identifiers = try communicator.allGather(own).map { $0.withUnsafeBytes { $0.load(as: Int32.self) } }
  if communicator.rank == 0 {
    print("stepping \(identifiers.map(String.init).joined(separator: " "))")
    fflush(nil)
  }
  var step = 0
  var stopRequested = false
  while true {
    if received.wait(timeout: .now() + 0.002) == .success { stopRequested = true }
    guardian.start(step: step, parameterHash: 1, stopRequested: stopRequested)
    if try guardian.wait() { break }
    step += 1
  }
  try communicator.agree(on: [AgreementField("step of the stop", UInt64(step))])
  if communicator.rank == 0 { print("stopped together") }
  return step
}

let mode = CommandLine.arguments.dropFirst().first ?? "collectives"
let communicator: any Communicator
do {
  communicator = try Communicators.start(
    launch: .current, nodeLimit: GradientSetting.current.nodeLimit)
} catch {
  FileHandle.standardError.write(Data("error: \(error)\n".utf8))
  exit(error.exitCode)
}
let rank = communicator.rank
let isLast = rank == communicator.size - 1
do {
  var exitCode: Int32 = 0
  // Shards of these ranks instead of the ranks themselves.
  let shards = ProcessInfo.processInfo.environment["PROBE_SHARDS"].flatMap { Int($0) }
  func onRanks(_ body: @escaping @Sendable (any Communicator) throws -> Void) throws {
    guard let shards else { return try body(communicator) }
    try ShardGroup.run(count: shards, on: communicator, concurrency: 2, body)
  }
  switch mode {
  case "collectives": try onRanks { try checkCollectives($0) }
  case "environment": try checkEnvironment(communicator)
  case "parameters":
    // What MPI was started with.
    for name in MPIParameters.defaults.keys.sorted() where rank == 0 {
      print("\(name)=\(getenv("OMPI_MCA_" + name).map { String(cString: $0) } ?? "")")
    }
  case "steps":
    _ = try stepUntilStopped(communicator)
    exitCode = 85
  case "lanes": try onRanks { try overtake($0) }
  case "fault-in-gradients": try failInOneLane(communicator, .gradients)
  case "fault-in-statistics": try failInOneLane(communicator, .statistics)
  case "gradients": try onRanks { try checkGradients($0) }
  case "different-buckets": try meanDifferentBuckets(communicator)
  case "killed-while-summing": try loseARank(communicator, killed: true)
  case "abort-while-summing": try loseARank(communicator, killed: false)
  case "measure": try measure(communicator)
  case "measure-gradients": try measureGradients(communicator)
  case "exit": exitCode = 85
  case "fail":
    // The last rank fails while the others wait for it.
    if isLast { throw WrongResult(what: "a failure of rank \(rank)") }
    try communicator.barrier()
  case "fail-during-reduction":
    // The last rank fails while its own communication thread waits inside MPI for a rank that never comes.
    if rank == 0 { while true { sleep(1) } }
    var value: [Double] = [1]
    try value.withUnsafeMutableBufferPointer {
      let pending = communicator.startAllReduce($0, .sum)
      usleep(200_000)
      if isLast { communicator.abort(code: 70) }
      try pending.wait()
    }
  case "stall":
    communicator.watch(stallTimeoutSeconds: 2)
    let (phase, seconds) = (CommandLine.arguments[2], Double(CommandLine.arguments[3])!)
    try onRanks { try stall($0, phase: phase, seconds: seconds) }
  case "die":
    if isLast { kill(getpid(), SIGKILL) }
    try communicator.barrier()
  case "mismatch":
    _ = try communicator.allReduce([Double](repeating: 1, count: isLast ? 200 : 100), .sum)
    try communicator.barrier()
  case "disagree":
    try communicator.agree(on: [
      AgreementField("seed", 1), AgreementField("batch-size", isLast ? 64 : 32),
    ])
  case "out-of-step":
    let guardian = StepGuard(communicator)
    guardian.start(step: isLast ? 8 : 7, parameterHash: 0, stopRequested: false)
    _ = try guardian.wait()
  default:
    throw WrongResult(what: "unknown mode \(mode)")
  }
  communicator.finalize()
  exit(exitCode)
} catch {
  FileHandle.standardError.write(Data("error: rank \(rank): \(error)\n".utf8))
  let code = (error as? CommunicationError)?.exitCode ?? 70
  // All ranks know of a disagreement, and end in order.
  if code == 78 {
    communicator.finalize()
    exit(code)
  }
  communicator.abort(code: code)
}
