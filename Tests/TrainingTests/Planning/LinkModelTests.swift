import Communication
import Testing

@testable import Training

@Suite("LinkModel") struct LinkModelTests {
  private static func allReduce(_ bytes: Int, _ ranks: Int) -> LinkModel.Load {
    .allReduce(bytes: bytes, ranks: ranks)
  }

  @Test("short all-reduces double: a message a round, whole every time")
  func recursiveDoubling() {
    #expect(Self.allReduce(56, 1) == LinkModel.Load(messages: 0, bytes: 0))
    #expect(Self.allReduce(56, 2) == LinkModel.Load(messages: 1, bytes: 56))
    #expect(Self.allReduce(1000, 8) == LinkModel.Load(messages: 3, bytes: 3000))
    // Four of the six double; the other two hand their values over and get the result.
    #expect(Self.allReduce(1000, 6) == LinkModel.Load(messages: 4, bytes: 4000))
    #expect(Self.allReduce(200_000, 64) == LinkModel.Load(messages: 6, bytes: 1_200_000))
  }

  @Test("long ones halve and double: as many messages, fewer bytes")
  func rabenseifner() {
    let mebi = Double(1 << 20)
    #expect(Self.allReduce(1 << 20, 2) == LinkModel.Load(messages: 2, bytes: mebi))
    #expect(Self.allReduce(1 << 20, 4) == LinkModel.Load(messages: 4, bytes: 1.5 * mebi))
    #expect(Self.allReduce(1 << 20, 3) == LinkModel.Load(messages: 5, bytes: 3 * mebi))
    #expect(Self.allReduce(1 << 20, 1024) == LinkModel.Load(messages: 20, bytes: 2 * mebi * 1023 / 1024))
  }

  @Test("beyond 4 MiB an all-reduce is cut, and the rest is one of its own")
  func chunks() {
    let mebi = Double(1 << 20)
    #expect(Self.allReduce(8 << 20, 2) == LinkModel.Load(messages: 4, bytes: 8 * mebi))
    #expect(Self.allReduce((8 << 20) + 100, 2) == LinkModel.Load(messages: 5, bytes: 8 * mebi + 100))
  }

  @Test("the rounds are those of the algorithms, played rank by rank", arguments: [2, 4, 8, 16])
  func played(ranks: Int) {
    // Halving: what a rank holds halves, and it sends the other half; doubling: it sends what it has.
    let bytes = 1 << 20
    var held = bytes
    var (messages, sent) = (0, 0)
    while held > bytes / ranks {
      held /= 2
      sent += held
      messages += 1
    }
    while held < bytes {
      sent += held
      held *= 2
      messages += 1
    }
    #expect(Self.allReduce(bytes, ranks) == LinkModel.Load(messages: Double(messages), bytes: Double(sent)))
  }

  @Test("bfloat16 sends two bytes a number twice, less the own slice")
  func bfloat16() {
    #expect(LinkModel.Load.bfloat16Sum(count: 1000, ranks: 4) == LinkModel.Load(messages: 6, bytes: 3000))
    #expect(
      LinkModel.Load.bfloat16Sum(count: (1 << 20) + 1, ranks: 2)
        == LinkModel.Load(messages: 4, bytes: 2 * Double((1 << 20) + 1)))
    #expect(LinkModel.Load.bfloat16Sum(count: 1000, ranks: 1) == LinkModel.Load(messages: 0, bytes: 0))
  }

  @Test("a link's seconds: 20 us and 10 Gbit/s")
  func seconds() {
    let link = LinkModel(latency: 20e-6, bitsPerSecond: 10e9)
    // 4 us for 5000 bytes.
    #expect(abs(link.seconds(LinkModel.Load(messages: 3, bytes: 5000)) - 64e-6) < 1e-12)
  }
}

@Suite("RankLayout") struct RankLayoutTests {
  private static let link = NetworkCost(LinkModel(latency: 1e-3, bitsPerSecond: 8e6))

  @Test("one node sums in its window: nothing travels, the update is divided")
  func oneNode() {
    let layout = RankLayout(ranks: 4, ranksPerNode: 4, .automatic, .float32)
    #expect(layout.nodes == 1 && layout.hasWindow)
    #expect(layout.bucketSeconds(count: 1 << 20, Self.link, memoryBytesPerSecond: 1e9) == 0)
    #expect(layout.statisticsSeconds(bytes: 1000, Self.link) == 0)
    #expect(layout.updateFactor == 0.4)
  }

  @Test("several nodes: slices through memory, then the first ranks among themselves")
  func nodes() {
    let layout = RankLayout(ranks: 8, ranksPerNode: 4, .automatic, .float32)
    #expect(layout.nodes == 2 && layout.updateFactor == 0.25)
    // 1e6 bytes: 2 messages and 1 s; 1.25e6 bytes read and written at 1e6 a second.
    let seconds = layout.bucketSeconds(count: 250_000, Self.link, memoryBytesPerSecond: 1e6)
    #expect(abs(seconds - (1.25 + 0.002 + 1.0)) < 1e-9)
    #expect(abs(layout.statisticsSeconds(bytes: 1000, Self.link) - 0.002) < 1e-12)
  }

  @Test("without a window every rank takes part")
  func plain() {
    let layout = RankLayout(ranks: 8, ranksPerNode: 4, .plain, .float32)
    #expect(!layout.hasWindow && layout.updateFactor == 1)
    let seconds = layout.bucketSeconds(count: 250_000, Self.link, memoryBytesPerSecond: 1e6)
    #expect(abs(seconds - (0.006 + 1.75)) < 1e-9)
    #expect(!RankLayout(ranks: 5, ranksPerNode: 1, .automatic, .float32).hasWindow)
  }

  @Test("bfloat16: half the bytes, and work in memory")
  func bfloat16() {
    let layout = RankLayout(ranks: 2, ranksPerNode: 1, .automatic, .bfloat16)
    let seconds = layout.bucketSeconds(count: 250_000, Self.link, memoryBytesPerSecond: 1e9)
    #expect(abs(seconds - (0.002 + 0.5 + 250_000 * 15 / 1e9)) < 1e-9)
  }
}
