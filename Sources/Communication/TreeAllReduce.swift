#if WITH_MPI
  import CMPI

  /// An all-reduce over 2ᵏ ranks whose order of operations is `ReductionTree`'s, whatever MPI would choose.
  ///
  /// Neighbours meet first, then pairs of neighbours, and so on. Short arrays go whole at every meeting; of long ones each
  /// side reduces one half, and the halves are handed back on the way down: 2 · (1 − 1/ranks) of the bytes go out of every
  /// rank, however many there are.
  final class TreeAllReduce {
    private let communicator: MPI_Comm?
    private let rank: Int
    private let size: Int
    private let incoming: UnsafeMutableRawPointer

    /// Bytes of one round; cuts depend on the count alone.
    private static let chunkBytes = 4 << 20
    /// Arrays up to here go whole: a meeting more costs more than the bytes.
    private static let wholeBytes = 16 << 10

    /// For the ranks of `communicator`, a power of two.
    init(_ communicator: MPI_Comm?, rank: Int, size: Int) {
      precondition(size.nonzeroBitCount == 1, "a tree over \(size) ranks")
      self.communicator = communicator
      self.rank = rank
      self.size = size
      incoming = .allocate(byteCount: Self.chunkBytes, alignment: 64)
    }

    deinit { incoming.deallocate() }

    /// Replaces `values` by their reduction over ranks; the heartbeat hears of every piece. Returns MPI's status.
    func reduce<Element: ReducibleElement>(
      _ values: UnsafeMutablePointer<Element>, count: Int, _ operation: ReductionOperation,
      _ heartbeat: LaneHeartbeat
    ) -> Int32 {
      let chunk = Self.chunkBytes / MemoryLayout<Element>.stride
      for start in stride(from: 0, to: count, by: chunk) {
        let length = min(chunk, count - start)
        let status =
          length * MemoryLayout<Element>.stride <= Self.wholeBytes
          ? reduceWhole(values + start, length, operation) : reduceInHalves(values + start, length, operation)
        guard status == MPI_SUCCESS else { return status }
        heartbeat.progress()
      }
      return Int32(MPI_SUCCESS)
    }

    private func reduceWhole<Element: ReducibleElement>(
      _ values: UnsafeMutablePointer<Element>, _ count: Int, _ operation: ReductionOperation
    ) -> Int32 {
      let operand = incoming.assumingMemoryBound(to: Element.self)
      var distance = 1
      while distance < size {
        let status = exchange(values, count, operand, count, with: rank ^ distance)
        guard status == MPI_SUCCESS else { return status }
        operation.combine(into: values, operand, count: count)
        distance *= 2
      }
      return Int32(MPI_SUCCESS)
    }

    private func reduceInHalves<Element: ReducibleElement>(
      _ values: UnsafeMutablePointer<Element>, _ count: Int, _ operation: ReductionOperation
    ) -> Int32 {
      let operand = incoming.assumingMemoryBound(to: Element.self)
      var mine = 0..<count
      var distance = 1
      while distance < size {
        let (kept, given) = halves(of: mine, distance)
        let status = exchange(
          values + given.lowerBound, given.count, operand, kept.count, with: rank ^ distance)
        guard status == MPI_SUCCESS else { return status }
        operation.combine(into: values + kept.lowerBound, operand, count: kept.count)
        mine = kept
        distance *= 2
      }
      return handBack(values, count)
    }

    /// The last to meet hand back first.
    private func handBack<Element>(_ values: UnsafeMutablePointer<Element>, _ count: Int) -> Int32 {
      var distance = size / 2
      while distance > 0 {
        var whole = 0..<count
        var before = 1
        while before < distance {
          whole = halves(of: whole, before).kept
          before *= 2
        }
        let (kept, given) = halves(of: whole, distance)
        let status = exchange(
          values + kept.lowerBound, kept.count, values + given.lowerBound, given.count, with: rank ^ distance)
        guard status == MPI_SUCCESS else { return status }
        distance /= 2
      }
      return Int32(MPI_SUCCESS)
    }

    /// What of a range this rank goes on with at the meeting of that distance, and what its partner does.
    private func halves(of range: Range<Int>, _ distance: Int) -> (kept: Range<Int>, given: Range<Int>) {
      let middle = range.lowerBound + range.count / 2
      let (lower, upper) = (range.lowerBound..<middle, middle..<range.upperBound)
      return rank & distance == 0 ? (lower, upper) : (upper, lower)
    }

    private func exchange<Element>(
      _ outgoing: UnsafeMutablePointer<Element>, _ outgoingCount: Int,
      _ result: UnsafeMutablePointer<Element>,
      _ resultCount: Int, with partner: Int
    ) -> Int32 {
      let stride = MemoryLayout<Element>.stride
      return MPI_Sendrecv(
        outgoing, Int32(outgoingCount * stride), cmpi_byte(), Int32(partner), 0,
        result, Int32(resultCount * stride), cmpi_byte(), Int32(partner), 0, communicator,
        cmpi_status_ignore())
    }
  }
#endif
