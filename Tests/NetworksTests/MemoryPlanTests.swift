import Tensors
import Testing

@testable import Networks

@Suite("MemoryPlan") struct MemoryPlanTests {
  @Test("blocks that live together do not overlap, and no memory is wasted on those that do not")
  func chain() {
    // Each block lives until the next one has been made from it: two at a time.
    let plan = MemoryPlan((0..<10).map { (floats: 160, lifetimes: [$0...($0 + 1)]) })
    #expect(plan.count == 320 && plan.countWithoutSharing == 1600)
    #expect(Set(plan.blocks.map(\.offset)) == [0, 160])
  }

  @Test("a block with two lives keeps its place in both and lends it in between")
  func twoLives() {
    let plan = MemoryPlan([
      (floats: 100, lifetimes: [0...1, 6...7]), (floats: 100, lifetimes: [2...5]),
      (floats: 10, lifetimes: [0...9]),
    ])
    #expect(plan.count == 112 + 16)
    #expect(plan.blocks[0].offset == plan.blocks[1].offset)
  }

  @Test("random blocks: no two that live together share a float", arguments: 0..<30)
  func random(seed: Int) {
    var random = RandomSource(seed: UInt64(seed), purpose: .test)
    func draw(_ limit: Int) -> Int { Int(random.uniform(0, Float(limit))) }
    let requests = (0..<40).map { _ in
      let (first, second) = (draw(50), draw(50))
      let lives = [first...(first + draw(10)), (60 + second)...(60 + second + draw(10))]
      return (floats: draw(1000), lifetimes: draw(2) == 0 ? [lives[0]] : lives)
    }
    let plan = MemoryPlan(requests)
    var pairs = 0
    for (index, a) in plan.blocks.enumerated() {
      #expect(a.floats >= requests[index].floats && a.offset % 16 == 0 && a.offset + a.floats <= plan.count)
      for b in plan.blocks.dropFirst(index + 1)
      where a.lifetimes.contains(where: { life in b.lifetimes.contains { life.overlaps($0) } }) {
        pairs += 1
        #expect(a.offset + a.floats <= b.offset || b.offset + b.floats <= a.offset)
      }
    }
    #expect(pairs > 100)
    // At least what lives at the busiest moment; greedy by size comes near it.
    let busiest = (0..<130).map { time in
      plan.blocks.filter { $0.lifetimes.contains { $0.contains(time) } }.reduce(0) { $0 + $1.floats }
    }.max()!
    #expect(plan.count >= busiest && Double(plan.count) <= 1.3 * Double(busiest))
  }

  @Test("nothing to place")
  func empty() { #expect(MemoryPlan([]).count == 0) }
}
