import Tensors
import Testing

@testable import Networks

@Suite("filter assignment")
struct FilterAssignmentTests {
  /// One batch: Σx per image and filter [N][F], the images' classes.
  private func update(
    _ assignment: FilterAssignment, _ sums: [[Double]], _ classes: [Int32], share: Double = 0.25
  ) {
    let context = StepContext()
    context.categories = classes
    let lanes = 16
    var padded = Array(repeating: 0.0, count: sums.count * lanes)
    for (n, row) in sums.enumerated() { padded.replaceSubrange(n * lanes..<n * lanes + row.count, with: row) }
    var statistics = Array(repeating: 0.0, count: assignment.statisticsCount)
    statistics.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      assignment.collect(padded, context, images: sums.count, into: base)
    }
    assignment.update(statistics, share: share)
  }

  @Test("arg-max of the class means; the first of equal ones; classes never seen are skipped")
  func assignsByMeans() {
    let assignment = FilterAssignment("m", filters: 3, categories: 4, eligible: 4)
    #expect(assignment.categories == [-1, -1, -1])
    // Means: class 1 (2 images) 2, 6, 0; class 2 (1 image) 3, 6, 0; classes 0 and 3 absent.
    update(assignment, [[1, 2, 0], [3, 6, 0], [3, 10, 0]], [1, 2, 1])
    #expect(assignment.categories == [2, 1, 1])
    #expect(Array(assignment.seen.values) == [0, 1, 1, 0])
    #expect(Array(assignment.means.values) == [0, 2, 3, 0, 0, 6, 6, 0, 0, 0, 0, 0])
  }

  @Test("the first batch sets a mean, later ones move it by their share, an absent class keeps its own")
  func averages() {
    let assignment = FilterAssignment("m", filters: 1, categories: 2, eligible: 2)
    update(assignment, [[4], [6]], [0, 0])
    #expect(Array(assignment.means.values) == [5, 0])
    #expect(assignment.categories == [0])
    update(assignment, [[9]], [1])
    #expect(Array(assignment.means.values) == [5, 9])
    #expect(assignment.categories == [1] && assignment.before == [0])
    update(assignment, [[1]], [1])
    #expect(Array(assignment.means.values) == [5, 7])
    update(assignment, [], [])
    #expect(Array(assignment.means.values) == [5, 7])
  }

  @Test("filters belong to eligible categories only")
  func respectsEligible() {
    let assignment = FilterAssignment("m", filters: 2, categories: 2, eligible: 1)
    update(assignment, [[1, 0], [5, 7]], [0, 1])
    #expect(assignment.categories == [0, 0])
  }

  @Test("the report counts filters per category and changes")
  func reportCounts() {
    var report = FilterReport(layer: "m", filterCount: 4, categories: 3)
    report.count([0, 2, 2, 1], before: [-1, -1, -1, -1])
    #expect(report.filtersPerCategory == [1, 1, 2] && report.changedFilters == 0)
    report.count([0, 1, 2, 0], before: [0, 2, 2, 1])
    #expect(report.filtersPerCategory == [2, 1, 1] && report.changedFilters == 2)
  }
}
