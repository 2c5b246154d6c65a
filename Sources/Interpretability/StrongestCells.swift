import Tensors

/// The strongest activations of every filter over all maps and cells of a split: what a threshold at a small tail
/// probability needs, without the maps themselves.
///
/// Memory: at most 2·count cells of 12 bytes a filter.
struct StrongestCells {
  /// One activation.
  struct Cell: BitwiseCopyable {
    let value: Float
    /// Position of the image in the split.
    let image: UInt32
    /// Row-major index in the map.
    let cell: UInt16

    static func isStronger(_ a: Cell, _ b: Cell) -> Bool {
      a.value != b.value ? a.value > b.value : (a.image, a.cell) < (b.image, b.cell)
    }
  }

  /// Most cells kept of a filter.
  let count: Int
  private var lists: [[Cell]]
  // Weakest of a full list; what is not above it need not be kept.
  private var floors: [Float]

  init(filters: Int, count: Int) {
    precondition(count > 0, "StrongestCells: \(count) cells of a filter")
    self.count = count
    lists = Array(repeating: [], count: filters)
    floors = Array(repeating: -.infinity, count: filters)
  }

  /// Looks at blocked maps [N, F, H, W] of the images at these positions of the split.
  mutating func add(_ x: Tensor, images: [UInt32]) {
    let block = Tensor.blockWidth, cells = x.shape.cells, blocks = x.shape.blocks, keep = count
    lists.withUnsafeMutableBufferPointer { lists in
      floors.withUnsafeMutableBufferPointer { floors in
        let (lists, floors) = (lists, floors)
        parallel(lists.count) { filter in
          for n in 0..<x.shape.batch {
            let map = x.pointer + (n * blocks + filter / block) * cells * block + filter % block
            for cell in 0..<cells where map[cell * block] > floors[filter] {
              lists[filter].append(Cell(value: map[cell * block], image: images[n], cell: UInt16(cell)))
            }
            if lists[filter].count >= 2 * keep {
              Self.prune(&lists[filter], to: keep)
              floors[filter] = lists[filter][keep - 1].value
            }
          }
        }
      }
    }
  }

  private static func prune(_ list: inout [Cell], to count: Int) {
    list.sort(by: Cell.isStronger)
    if list.count > count { list.removeLast(list.count - count) }
  }

  /// The strongest cells of each filter over all ranks, strongest first: the same for any number of ranks.
  func gathered(_ ranks: RankGather) throws -> [[Cell]] {
    var writer = ByteWriter()
    for list in lists {
      var list = list
      Self.prune(&list, to: count)
      writer.write(list)
    }
    var readers = try ranks.exchange(writer)
    return lists.indices.map { _ in
      var merged: [Cell] = []
      for rank in readers.indices { merged += readers[rank].read(Cell.self) }
      Self.prune(&merged, to: count)
      return merged
    }
  }
}
