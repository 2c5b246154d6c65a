import CKernels
import Foundation
import Tensors

/// Serialises tests that change the process-wide number of threads. The choice of kernels is the calling thread's own.
private let settingsLock = NSRecursiveLock()

/// OpenBLAS with one thread, as in the program: its own threads cut sums elsewhere, and a test that sets it to one in passing
/// would change the bits of another.
private let singleThreadedBLAS: Void = { _ = CPU.configure(threads: Int(ck_threads_count())) }()

/// Runs `body` with the kernels of one instruction set and a number of threads, and restores both afterwards.
public func withKernels<Result>(
  _ set: InstructionSet, threads: Int = 1, _ body: () throws -> Result
) rethrows -> Result {
  settingsLock.lock()
  defer { settingsLock.unlock() }
  singleThreadedBLAS
  let (oldSet, oldThreads) = (InstructionSet.current, ck_threads_count())
  set.select()
  if threads != Int(oldThreads) { ck_threads_configure(Int32(threads), 0) }
  defer {
    oldSet.select()
    if ck_threads_count() != oldThreads { ck_threads_configure(oldThreads, 0) }
  }
  return try body()
}

/// The results of `body` for each instruction set of this CPU, each computed with 1, 2 and 3 threads.
///
/// - Returns: per set the result with one thread, and whether those with two and three threads have the same bits.
public func onAllKernels(
  _ body: () throws -> [Float]
) rethrows -> [(set: InstructionSet, values: [Float], sameForAllThreads: Bool)] {
  try InstructionSet.available.map { set in
    let runs = try (1...3).map { threads in try withKernels(set, threads: threads, body) }
    let bits = runs.map { $0.map(\.bitPattern) }
    return (set, runs[0], bits[0] == bits[1] && bits[0] == bits[2])
  }
}
