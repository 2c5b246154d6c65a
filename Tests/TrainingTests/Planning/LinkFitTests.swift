import Communication
import Testing

@testable import Training

@Suite("LinkFit") struct LinkFitTests {
  private static func samples(_ link: LinkModel, ranks: Int) -> [LinkFit.Sample] {
    [64, 4096, 65536, 1 << 20, 16 << 20].map {
      LinkFit.Sample(bytes: $0, seconds: link.seconds(.allReduce(bytes: $0, ranks: ranks)))
    }
  }

  @Test("a link is found again in the times that follow from it", arguments: [2, 3, 4, 16])
  func exact(ranks: Int) throws {
    let link = LinkModel(latency: 70e-6, bitsPerSecond: 200e6)
    let fit = try #require(LinkFit(Self.samples(link, ranks: ranks), ranks: ranks))
    #expect(abs(fit.link.latency / link.latency - 1) < 1e-9)
    #expect(abs(fit.link.secondsPerByte / link.secondsPerByte - 1) < 1e-9)
    #expect(fit.worstError < 1e-9 && fit.ranks == ranks)
  }

  @Test("errors count by their share, so short messages are not lost beside long ones")
  func relative() throws {
    let link = LinkModel(latency: 70e-6, bitsPerSecond: 200e6)
    var samples = Self.samples(link, ranks: 2)
    samples[samples.count - 1].seconds *= 1.05
    let fit = try #require(LinkFit(samples, ranks: 2))
    #expect(abs(fit.link.latency / link.latency - 1) < 0.05)
    #expect(fit.worstError > 0.01 && fit.worstError < 0.05)
  }

  @Test("times without latency, or without bytes, do not become negative")
  func degenerate() throws {
    let noLatency = try #require(
      LinkFit(
        [LinkFit.Sample(bytes: 100, seconds: 1e-6), LinkFit.Sample(bytes: 8000, seconds: 90e-6)], ranks: 2))
    #expect(noLatency.link.latency == 0 && noLatency.link.secondsPerByte > 0)
    let noBytes = try #require(
      LinkFit(
        [LinkFit.Sample(bytes: 100, seconds: 2e-6), LinkFit.Sample(bytes: 8000, seconds: 1e-6)], ranks: 2))
    #expect(noBytes.link.latency > 0 && noBytes.link.secondsPerByte > 0)
    #expect(LinkFit([LinkFit.Sample(bytes: 100, seconds: 1)], ranks: 2) == nil)
  }

  @Test(
    "at measured sizes the cost is what was measured, between them between; with ranks it grows as the line does"
  )
  func residuals() throws {
    let link = LinkModel(latency: 0, bitsPerSecond: 8e6)
    var samples = Self.samples(link, ranks: 2)
    for index in samples.indices { samples[index].seconds *= [1, 2, 1, 1, 3][index] }
    let fit = try #require(LinkFit(samples, ranks: 2))
    let cost = NetworkCost(fit.link, fit)
    for sample in samples {
      let seconds = cost.seconds(.allReduce(bytes: sample.bytes, ranks: 2), bytes: sample.bytes)
      #expect(abs(seconds / sample.seconds - 1) < 1e-9)
    }
    // 512 lies halfway between 64 and 4096 for a logarithm.
    let line = { (bytes: Int) in fit.link.seconds(.allReduce(bytes: bytes, ranks: 2)) }
    let factors = [samples[0].seconds / line(64), samples[1].seconds / line(4096)]
    let between = cost.seconds(.allReduce(bytes: 512, ranks: 2), bytes: 512)
    #expect(abs(between / line(512) - (factors[0] + factors[1]) / 2) < 1e-9)
    // Beyond the largest as at the largest, and four ranks by the line.
    let far = cost.seconds(.allReduce(bytes: 64 << 20, ranks: 4), bytes: 64 << 20)
    let factor = samples[4].seconds / line(16 << 20)
    #expect(abs(far / (factor * fit.link.seconds(.allReduce(bytes: 64 << 20, ranks: 4))) - 1) < 1e-9)
    #expect(NetworkCost(link).seconds(.allReduce(bytes: 8000, ranks: 2), bytes: 8000) == 0.008)
  }

  @Test("ranks that are threads measure times that grow with the bytes")
  func measured() throws {
    let fits = try InProcessGroup.run(size: 2) { try LinkFit.measure($0) }
    let fit = try #require(fits[0])
    #expect(fit.samples.first!.seconds < fit.samples.last!.seconds)
    // All ranks have the same, so that they plan the same.
    #expect(fits[1]?.link == fit.link && fits[1]?.samples == fit.samples)
    #expect(try LinkFit.measure(SingleProcess()) == nil)
  }
}
