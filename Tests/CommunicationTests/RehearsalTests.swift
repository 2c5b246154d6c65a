import Foundation
import Testing

@testable import Communication

@Suite("Rehearsal") struct RehearsalTests {
  @Test("sums are those of ranks that hold the same; maxima stay; everybody's bytes are one's own")
  func results() throws {
    let rehearsal = Rehearsal(size: 4)
    defer { rehearsal.finalize() }
    #expect(rehearsal.rank == 0 && rehearsal.size == 4)
    #expect(try rehearsal.allReduce([1, 2.5], .sum) == [4, 10])
    #expect(try rehearsal.allReduce([1, 2.5], .maximum) == [1, 2.5])
    #expect(abs(try rehearsal.allReduce([1], .logSumExp)[0] - log(4 * exp(1.0))) < 1e-12)
    #expect(try rehearsal.allGather([1, 2, 3]) == [[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2, 3]])
    try rehearsal.barrier()
    #expect(Lane.allCases.allSatisfy { rehearsal.operationCount(of: $0) > 0 })
  }

  @Test("its step guard finds all ranks in step, and its gradients take the plain way")
  func training() throws {
    let rehearsal = Rehearsal(size: 3)
    defer { rehearsal.finalize() }
    let stepGuard = StepGuard(rehearsal)
    stepGuard.start(step: 1, parameterHash: 7, stopRequested: false)
    #expect(try stepGuard.wait() == false)
    let exchange = rehearsal.gradientExchange(.automatic, .float32)
    #expect(exchange.route == .plain(reason: "the other ranks are not there") && exchange.storage == nil)
  }
}
