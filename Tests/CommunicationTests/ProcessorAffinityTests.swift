import Foundation
import Testing

@testable import Communication

@Suite struct ProcessorAffinityTests {
  @Test(arguments: [
    ("Cpus_allowed:\t3\n", 2), ("Name:\tx\nCpus_allowed:\tff,ffffffff\nCpus_allowed_list:\t0-39\n", 40),
    ("Cpus_allowed:\t00000000,80000000\n", 1),
  ])
  func countsTheBitsOfTheMask(status: String, processors: Int) {
    #expect(ProcessorAffinity.processorCount(inStatus: status) == processors)
  }

  @Test(arguments: ["", "Cpus_allowed_list:\t0-1\n", "Cpus_allowed:\t\n"])
  func withoutAMaskTheCountIsUnknown(status: String) {
    #expect(ProcessorAffinity.processorCount(inStatus: status) == nil)
  }

  @Test func coresAreDividedAmongTheRanksOfTheHost() throws {
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let processors = try #require(ProcessorAffinity.processorCount(inStatus: status))
    #expect(ProcessorAffinity.hasSpareCore(localSize: 1) == (processors >= 2))
    #expect(!ProcessorAffinity.hasSpareCore(localSize: processors))
  }
}
