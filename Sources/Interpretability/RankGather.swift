/// How measurements of several ranks come together. This module knows no communicator: the caller hands in its
/// all-gather, and one process needs none.
public struct RankGather {
  /// This process, and how many share the split.
  public let rank: Int, rankCount: Int
  private let allGather: (_ bytes: [UInt8]) throws -> [[UInt8]]

  /// - Parameter allGather: each rank's bytes (of any length), in the order of ranks, on every rank.
  public init(rank: Int, rankCount: Int, _ allGather: @escaping (_ bytes: [UInt8]) throws -> [[UInt8]]) {
    self.rank = rank
    self.rankCount = rankCount
    self.allGather = allGather
  }

  /// One process.
  public static var single: RankGather { RankGather(rank: 0, rankCount: 1) { [$0] } }

  /// What each rank wrote, in the order of ranks. All ranks must call it.
  func exchange(_ writer: ByteWriter) throws -> [ByteReader] {
    try allGather(writer.bytes).map { ByteReader($0) }
  }

  /// Whole numbers added up over the ranks: the same whatever their number.
  func sum(_ counts: [Int]) throws -> [Int] {
    var writer = ByteWriter()
    writer.write(counts)
    var total = [Int](repeating: 0, count: counts.count)
    for var reader in try exchange(writer) {
      for (index, value) in reader.read(Int.self).enumerated() { total[index] += value }
    }
    return total
  }
}

/// Arrays of plain values, one after the other, for ranks of one program on machines of one kind.
struct ByteWriter {
  private(set) var bytes: [UInt8] = []

  mutating func write<Element: BitwiseCopyable>(_ values: [Element]) {
    withUnsafeBytes(of: values.count) { bytes.append(contentsOf: $0) }
    values.withUnsafeBytes { bytes.append(contentsOf: $0) }
  }
}

/// Reads what a `ByteWriter` wrote, in the same order.
struct ByteReader {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func read<Element: BitwiseCopyable>(_: Element.Type) -> [Element] {
    let count = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: position, as: Int.self) }
    position += MemoryLayout<Int>.size
    let byteCount = count * MemoryLayout<Element>.stride
    let start = position
    position += byteCount
    return [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
      bytes.withUnsafeBytes {
        UnsafeMutableRawBufferPointer(buffer).copyMemory(from: .init(rebasing: $0[start..<start + byteCount]))
      }
      initialized = count
    }
  }
}
