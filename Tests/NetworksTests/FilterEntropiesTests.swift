import Foundation
import Tensors
import TestSupport
import Testing

@testable import Networks

@Suite("FilterEntropies") struct FilterEntropiesTests {
  /// The entropies of all images, cut into batches and dealt to ranks in turn.
  private func measure(_ item: PaperCase, batch: Int, ranks: Int) -> (
    FilterEntropies, [FilterEntropies.Filter]
  ) {
    let x = item.harness.x
    let all = (0..<ranks).map { _ in
      FilterEntropies(filters: item.filters, height: item.height, width: item.width, beta: item.beta)
    }
    func pass(_ body: (FilterEntropies, Tensor) -> Void) {
      let features = item.filters * item.height * item.width
      for (index, start) in stride(from: 0, to: item.images, by: batch).enumerated() {
        let count = min(batch, item.images - start)
        let maps = Tensor(
          Shape(batch: count, channels: item.filters, height: item.height, width: item.width), .blocked)
        maps.fill(from: Array(x[start * features..<(start + count) * features]))
        body(all[index % ranks], maps)
      }
    }
    pass { $0.addToNormalizers($1) }
    let sums = all.map(\.normalizerSums)
    for entropies in all { entropies.setNormalizers(sums) }
    pass { $0.addToEntropies($1) }
    return (all[0], all[0].filters(all.map(\.entropySums)))
  }

  @Test("they are those of the definitions, loop by loop", arguments: PaperCase.all)
  func oracle(item: PaperCase) {
    let (entropies, filters) = measure(item, batch: 2, ranks: 1)
    for (index, filter) in filters.enumerated() {
      let maps = item.maps(item.harness.x, index)
      let terms = item.oracle.terms(maps), loss = item.oracle.loss(maps)
      #expect(abs(entropies.prior + terms.prior) < 1e-12)
      #expect(abs(filter.mutualInformation + loss) < 1e-10)
      #expect(abs(filter.conditional - (terms.interCategory + terms.spatial)) < 1e-10)
      #expect(abs(filter.interCategory - terms.interCategory) < 1e-10)
      #expect(abs(filter.spatial - terms.spatial) < 1e-10)
    }
  }

  @Test("batches and ranks change no digit", arguments: PaperCase.all)
  func order(item: PaperCase) {
    let expected = measure(item, batch: item.images, ranks: 1).1
    for (batch, ranks) in [(1, 1), (2, 2), (1, 3)] {
      #expect(measure(item, batch: batch, ranks: ranks).1 == expected)
    }
  }

  @Test("sums of exponentials neither overflow nor depend on the order", arguments: [1.0, 30, 1000])
  func sums(scale: Double) {
    var random = RandomSource(seed: 9, purpose: .test)
    let scores = (0..<500).map { _ in Double(random.uniform(-1, 1)) * scale }
    func sum(_ scores: [Double]) -> Double {
      var sums = ExponentialSums(count: 1)
      for score in scores { withUnsafePointer(to: score) { sums.add($0, first: 0, count: 1) } }
      return sums.logarithm(0)
    }
    let expected = sum(scores)
    let largest = scores.max()!
    #expect(abs(expected - (largest + log(scores.map { exp($0 - largest) }.reduce(0, +)))) < 1e-12 * scale)
    for _ in 0..<20 { #expect(sum(random.permutation(500).map { scores[$0] }) == expected) }
    #expect(ExponentialSums(count: 1).logarithm(0) == -.infinity)
  }
}
