#if WITH_MPI
  import CKernels
  import CMPI
  import Glibc

  /// Which ranks share a node's memory, and who speaks for the node.
  struct NodeTopology {
    /// The ranks of this node, in the order of the world's.
    var node = cmpi_comm_null()
    var nodeRank = 0
    var nodeSize = 1
    /// The first ranks of all nodes; null on the others.
    var leaders = cmpi_comm_null()
    var nodeCount = 1
    /// Ranks of the fullest node.
    var largestNodeSize = 1
  }

  /// The gradients of all ranks of a node in memory that each of them can read and write.
  ///
  /// Every rank of a node adds one slice of a bucket over all copies, in the order of ranks, and writes the sum into
  /// all of them. With several nodes the sums go into the first rank's copy, the first ranks add up among themselves,
  /// and the others copy the result. Results are the same bits on all ranks, whatever the timing.
  ///
  /// Ranks tell each other by counters in the window how many buckets are final (`Counter.final`), which slices are
  /// summed, and which results are passed on. No two ranks are more than one bucket apart in what they look at. All
  /// functions run on the communication thread.
  final class NodeWindow {
    private enum Counter: Int, CaseIterable {
      /// Buckets that backward has finished on this rank.
      case final
      /// Buckets of which this rank's slice is summed.
      case summed
      /// First rank: buckets that are sums over all nodes. Others: buckets copied from it.
      case passedOn
    }

    /// The counters lie a cache line apart, then two marks of which bucket was meant; the gradients begin on a page.
    private static let counterStride = 64
    private static let markOffset = 256
    private static let headerBytes = 4096
    private static let pageBytes = 4096

    private let topology: NodeTopology
    private var window: MPI_Win?
    /// Every rank's header and gradients, in the order of the node's ranks.
    private let headers: [UnsafeMutableRawPointer]
    private let copies: UnsafeMutablePointer<UnsafeMutablePointer<Float>?>
    private let count: Int
    /// Buckets started so far.
    private var sequence: UInt32 = 0
    /// Buckets that this rank has not yet copied from the first rank.
    private var uncopied: [(sequence: UInt32, offset: Int, count: Int)] = []
    private var copiedCount = 0

    private init(
      _ topology: NodeTopology, _ window: MPI_Win?, _ headers: [UnsafeMutableRawPointer], count: Int
    ) {
      self.topology = topology
      self.window = window
      self.headers = headers
      self.count = count
      copies = .allocate(capacity: headers.count)
      for (rank, header) in headers.enumerated() {
        (copies + rank).initialize(
          to: (header + Self.headerBytes).bindMemory(to: Float.self, capacity: max(count, 1)))
      }
      uncopied.reserveCapacity(1024)
    }

    deinit { copies.deallocate() }

    /// This rank's gradients.
    var memory: UnsafeMutablePointer<Float> { copies[topology.nodeRank]! }

    private var spansNodes: Bool { topology.nodeCount > 1 }
    private var isLeader: Bool { topology.nodeRank == 0 }

    // MARK: opening

    /// Opens a window for `count` gradients on each rank of `world`, zeroed. All ranks get one, or all the same reason
    /// why not.
    static func open(
      count: Int, _ topology: NodeTopology, world: MPI_Comm?,
      check: (Int32) throws(CommunicationError) -> Void
    ) throws(CommunicationError) -> Result<NodeWindow, WindowRefusal> {
      func onAllRanks(_ holds: Bool) throws(CommunicationError) -> Bool {
        var value: Int32 = holds ? 1 : 0
        try check(MPI_Allreduce(cmpi_in_place(), &value, 1, cmpi_int32(), cmpi_minimum(), world))
        return value == 1
      }
      // One page more than is used: MPI aligns windows to less than a cache line. Processes map whole pages, so that
      // all find the same beginning.
      let usedBytes = headerBytes + count * MemoryLayout<Float>.stride
      let bytes = (usedBytes + 2 * pageBytes - 1) / pageBytes * pageBytes
      // A first rank that fails inside MPI_Win_allocate_shared leaves the others waiting there for ever.
      let folder = SharedMemoryFolder.current
      let obstacle = folder.obstacle(to: bytes * topology.nodeSize)
      guard try onAllRanks(obstacle == nil) else {
        return .failure(WindowRefusal(reason: obstacle ?? "\(folder.path) of another node is unfit"))
      }
      var info = cmpi_info_null()
      try check(MPI_Info_create(&info))
      // Each rank's part may lie for itself, near the cores that use it.
      try check(MPI_Info_set(info, "alloc_shared_noncontig", "true"))
      var base: UnsafeMutableRawPointer?
      var window: MPI_Win?
      let status = MPI_Win_allocate_shared(Int(bytes), 1, info, topology.node, &base, &window)
      try check(MPI_Info_free(&info))
      guard try onAllRanks(status == MPI_SUCCESS) else {
        return .failure(WindowRefusal(reason: "MPI_Win_allocate_shared failed"))
      }
      var headers: [UnsafeMutableRawPointer] = []
      for rank in 0..<topology.nodeSize {
        var size: MPI_Aint = 0
        var unit: Int32 = 0
        var header: UnsafeMutableRawPointer?
        try check(MPI_Win_shared_query(window, Int32(rank), &size, &unit, &header))
        headers.append(header!.alignedUp(toMultipleOf: pageBytes))
      }
      // Huge pages where the system grants them to shared memory; then touched, so that no step waits for a page.
      let own = headers[topology.nodeRank]
      madvise(own, usedBytes, MADV_HUGEPAGE)
      memset(own, 0, usedBytes)
      // Nobody looks at a counter that its owner has not set to zero.
      try check(MPI_Barrier(topology.node))
      return .success(NodeWindow(topology, window, headers, count: count))
    }

    /// Gives the memory back; all ranks of the node call it.
    func close() -> Int32 { MPI_Win_free(&window) }

    // MARK: a step

    /// The bucket is final on this rank: adds this rank's slice of it once it is final on all ranks of the node.
    /// `exchange` adds up among the first ranks of the nodes.
    func sum(
      _ gradients: UnsafeMutablePointer<Float>, count: Int,
      exchange: (UnsafeMutablePointer<Float>, Int) throws(CommunicationError) -> Void
    ) throws(CommunicationError) {
      let offset = gradients - memory
      precondition(
        offset >= 0 && offset + count <= self.count, "\(count) gradients at \(offset) of \(self.count)")
      sequence &+= 1
      mark(offset: offset, count: count)
      publish(.final)
      for rank in 0..<topology.nodeSize {
        wait(for: .final, of: rank, sequence)
        try checkMark(of: rank, offset: offset, count: count)
      }
      // In whole vectors, so that no two ranks write into one cache line.
      let vectors = (count + 15) / 16
      let lower = min(count, topology.nodeRank * vectors / topology.nodeSize * 16)
      let upper = min(count, (topology.nodeRank + 1) * vectors / topology.nodeSize * 16)
      ck_sum_copies(
        copies, Int64(topology.nodeSize), spansNodes ? 1 : Int64(topology.nodeSize), Int64(offset + lower),
        Int64(upper - lower))
      publish(.summed)
      guard spansNodes else { return }
      if isLeader {
        for rank in 0..<topology.nodeSize { wait(for: .summed, of: rank, sequence) }
        try exchange(gradients, count)
        publish(.passedOn)
      } else {
        uncopied.append((sequence, offset, count))
        copyResults(waiting: false)
      }
    }

    /// Returns when every bucket started so far is the sum over all ranks in this rank's copy, and no other rank uses
    /// this copy any more.
    func finish() {
      guard spansNodes else {
        for rank in 0..<topology.nodeSize { wait(for: .summed, of: rank, sequence) }
        return
      }
      if isLeader {
        for rank in 1..<topology.nodeSize { wait(for: .passedOn, of: rank, sequence) }
      } else {
        copyResults(waiting: true)
        publish(.passedOn)
        uncopied.removeAll(keepingCapacity: true)
        copiedCount = 0
      }
    }

    private func copyResults(waiting: Bool) {
      while copiedCount < uncopied.count {
        let bucket = uncopied[copiedCount]
        if waiting {
          wait(for: .passedOn, of: 0, bucket.sequence)
        } else if cmpi_counter_reached(counter(.passedOn, of: 0), bucket.sequence) == 0 {
          return
        }
        (memory + bucket.offset).update(from: copies[0]! + bucket.offset, count: bucket.count)
        copiedCount += 1
      }
    }

    // MARK: counters

    private func counter(_ counter: Counter, of rank: Int) -> UnsafeMutablePointer<UInt32> {
      (headers[rank] + counter.rawValue * Self.counterStride).assumingMemoryBound(to: UInt32.self)
    }

    private func publish(_ counter: Counter) {
      cmpi_counter_publish(self.counter(counter, of: topology.nodeRank), sequence)
    }

    private func wait(for counter: Counter, of rank: Int, _ value: UInt32) {
      if rank != topology.nodeRank { cmpi_counter_await(self.counter(counter, of: rank), value) }
    }

    // MARK: ranks that mean different buckets

    /// A rank publishes its next but one bucket only after all have looked at this one: two marks are enough.
    private func marks(of rank: Int) -> UnsafeMutablePointer<Int> {
      (headers[rank] + Self.markOffset).assumingMemoryBound(to: Int.self) + Int(sequence & 1) * 2
    }

    private func mark(offset: Int, count: Int) {
      marks(of: topology.nodeRank)[0] = offset
      marks(of: topology.nodeRank)[1] = count
    }

    private func checkMark(of rank: Int, offset: Int, count: Int) throws(CommunicationError) {
      let mark = marks(of: rank)
      if mark[0] == offset && mark[1] == count { return }
      throw .mismatchedCollectives(
        detail: "rank \(topology.nodeRank) of the node sums \(count) gradients at \(offset), rank \(rank) "
          + "\(mark[1]) at \(mark[0])")
    }
  }

  /// Why there is no window.
  struct WindowRefusal: Error {
    let reason: String
  }
#endif
