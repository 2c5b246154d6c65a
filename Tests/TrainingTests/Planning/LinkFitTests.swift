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
