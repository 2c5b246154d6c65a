import Networks
import Testing

@testable import Training

@Suite("Histograms") struct HistogramTests {
  private func count(_ values: [Float], buckets: Int) -> Histogram? {
    values.withUnsafeBufferPointer { Histogram($0, bucketCount: buckets) }
  }

  @Test("buckets, extremes and sums of a case counted by hand")
  func byHand() throws {
    let histogram = try #require(count([-1, 0, 0.5, 1, 1.5, 3, 3], buckets: 4))
    #expect(histogram.counts == [1, 2, 2, 2])
    #expect(histogram.limits == [0, 1, 2, 3])
    #expect(histogram.minimum == -1 && histogram.maximum == 3)
    #expect(histogram.count == 7 && histogram.sum == 8 && histogram.sumOfSquares == 22.5)
  }

  @Test("equal values share one bucket")
  func constant() throws {
    let histogram = try #require(count([2, 2, 2], buckets: 8))
    #expect(histogram.counts == [3] && histogram.limits == [2])
  }

  @Test("what is not finite is not counted; nothing finite, no histogram")
  func notFinite() throws {
    let histogram = try #require(count([1, .nan, .infinity, 2, -.infinity], buckets: 2))
    #expect(histogram.count == 2 && histogram.counts == [1, 1] && histogram.sum == 3)
    #expect(count([.nan], buckets: 2) == nil)
    #expect(count([], buckets: 2) == nil)
  }

  @Test("a parameter's padding is not counted")
  func padding() throws {
    let parameter = Parameter("weight", shape: [2, 3, 1, 1], layout: .blockedWeights)
    let store = ParameterStore([parameter])
    parameter.importValues([1, 2, 3, 4, 5, 6])
    #expect(store.count == 256)
    let histogram = try #require(Histogram(parameter))
    #expect(histogram.count == 6 && histogram.minimum == 1 && histogram.sum == 21)
  }
}
