import Communication
import Foundation

/// Statistics and gradients in opposite orders on different ranks: rank 0 begins its gradients only once it has its statistics, the
/// others have begun theirs before. In one queue nobody would get further.
func overtake(_ communicator: any Communicator) throws {
  let (rank, size) = (communicator.rank, communicator.size)
  let gradients = UnsafeMutableBufferPointer<Float>.allocate(capacity: 1 << 20)
  defer { gradients.deallocate() }
  for round in 1...20 {
    gradients.initialize(repeating: Float(rank + round))
    let statistics: [Double]
    if rank == 0 {
      statistics = try communicator.allReduce([Double(rank * round)], .sum)
      try communicator.startAllReduce(gradients, .sum).wait()
    } else {
      let pending = communicator.startAllReduce(gradients, .sum)
      statistics = try communicator.allReduce([Double(rank * round)], .sum)
      try pending.wait()
    }
    let ranks = size * (size - 1) / 2
    try expect(statistics == [Double(ranks * round)], "statistics of round \(round): \(statistics)")
    let sum = Float(ranks + size * round)
    try expect(gradients.allSatisfy { $0 == sum }, "gradients of round \(round) are not \(sum)")
  }
  try communicator.barrier()
  if rank == 0 { print("lanes ok ranks=\(size)") }
}

/// Two ranks that disagree in one lane, while the first waits in the other for what never comes.
func failInOneLane(_ communicator: any Communicator, _ failing: Lane) throws {
  let floats = UnsafeMutableBufferPointer<Float>.allocate(capacity: 200)
  let doubles = UnsafeMutableBufferPointer<Double>.allocate(capacity: 200)
  floats.initialize(repeating: 1)
  doubles.initialize(repeating: 1)
  func start(_ lane: Lane, _ count: Int) -> PendingReduction {
    lane == .gradients
      ? communicator.startAllReduce(UnsafeMutableBufferPointer(rebasing: floats[..<count]), .sum)
      : communicator.startAllReduce(UnsafeMutableBufferPointer(rebasing: doubles[..<count]), .sum)
  }
  guard communicator.rank == 0 else {
    let mismatched = start(failing, 200)
    // Until rank 0 ends all ranks.
    try? mismatched.wait()
    while true { sleep(1) }
  }
  let unmet = start(failing == .gradients ? .statistics : .gradients, 8)
  // Until it is under way: what has not been tried when the other lane fails ends at once.
  usleep(500_000)
  let mismatched = start(failing, 100)
  do {
    try unmet.wait()
  } catch {
    try? mismatched.wait()
    throw error
  }
  try mismatched.wait()
}
