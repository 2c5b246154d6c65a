/// Places for blocks of known sizes and lifetimes in one stretch of memory: blocks that live at the same time do not
/// overlap, others may.
///
/// The largest block is placed first, each at the lowest offset that is free during its life ("greedy by size",
/// Pisarchyk & Lee, arXiv:2001.03288). Nearly optimal for chains of layers, and computed once.
struct MemoryPlan {
  /// A block.
  struct Block {
    /// Its size in floats.
    let floats: Int
    /// When its values are needed, in steps of any clock.
    let lifetimes: [ClosedRange<Int>]
    /// Its place.
    fileprivate(set) var offset = 0

    fileprivate func livesWith(_ other: Block) -> Bool {
      lifetimes.contains { mine in other.lifetimes.contains { mine.overlaps($0) } }
    }
  }

  /// In the order in which they were given.
  private(set) var blocks: [Block]
  /// Floats of the whole stretch.
  let count: Int

  /// Lays out the blocks; sizes are rounded up to a cache line.
  init(_ requests: [(floats: Int, lifetimes: [ClosedRange<Int>])]) {
    var blocks = requests.map { Block(floats: ($0.floats + 15) / 16 * 16, lifetimes: $0.lifetimes) }
    var placed: [Block] = []
    var end = 0
    // Equal sizes in the order given, so that the plan is the same on every rank.
    for index in blocks.indices.sorted(by: { (blocks[$1].floats, $0) < (blocks[$0].floats, $1) }) {
      let block = blocks[index]
      var offset = 0
      for neighbour in placed where neighbour.livesWith(block) {
        if offset + block.floats <= neighbour.offset { break }
        offset = max(offset, neighbour.offset + neighbour.floats)
      }
      blocks[index].offset = offset
      end = max(end, offset + block.floats)
      placed.append(blocks[index])
      placed.sort { $0.offset < $1.offset }
    }
    self.blocks = blocks
    count = end
  }

  /// Floats that the blocks would take side by side.
  var countWithoutSharing: Int { blocks.reduce(0) { $0 + $1.floats } }
}
