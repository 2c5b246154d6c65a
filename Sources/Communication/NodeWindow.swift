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

  /// The parameters of a node and the gradients of its ranks in memory that each of them can read and write.
  ///
  /// On one node nothing is added up here: `finish` waits until all gradients are final, then every rank reads the copies
  /// of its share as it updates it (`GradientExchange.Share`). With several nodes
  /// every rank adds one slice of a bucket over the node's copies, in the order of ranks, into the first rank's copy, and
  /// the first ranks add up among themselves. Results are the same bits on all ranks, whatever the timing.
  ///
  /// Ranks tell each other by counters in the window how far they are (`Counter`). No two ranks are more than one bucket
  /// apart in what they look at. All functions run on the thread of the lane of gradients.
  final class NodeWindow {
    private enum Counter: Int, CaseIterable {
      /// Buckets that backward has finished on this rank; on one node, steps.
      case final
      /// Buckets of which this rank's slice is summed.
      case summed
      /// First rank: buckets that are sums over all nodes.
      case passedOn
      /// This rank's share of the update that followed this bucket is done.
      case updated
    }

    /// The counters lie a cache line apart, then two marks of which bucket was meant, then the outcome of an update; the
    /// arenas begin on pages.
    private static let counterStride = 64
    private static let markOffset = 256
    private static let outcomeOffset = 320
    private static let headerBytes = 4096
    private static let pageBytes = 4096

    private let topology: NodeTopology
    private var window: MPI_Win?
    /// Every rank's header and gradients, in the order of the node's ranks.
    private let headers: [UnsafeMutableRawPointer]
    private let copies: UnsafeMutablePointer<UnsafeMutablePointer<Float>?>
    /// Behind the first rank's gradients: values, velocities, and what is shared besides.
    private let values: UnsafeMutablePointer<Float>
    private let velocities: UnsafeMutablePointer<Float>
    private let shared: UnsafeMutablePointer<Float>
    private let count: Int
    private let sharedCount: Int
    /// Buckets so far; on one node, steps.
    private var sequence: UInt32 = 0
    /// On one node: what this step's buckets were.
    private var started = (fingerprint: 0, count: 0)

    private init(
      _ topology: NodeTopology, _ window: MPI_Win?, _ headers: [UnsafeMutableRawPointer], count: Int,
      sharedCount: Int
    ) {
      self.topology = topology
      self.window = window
      self.headers = headers
      self.count = count
      self.sharedCount = sharedCount
      let arena = { (header: UnsafeMutableRawPointer, index: Int) in
        (header + Self.headerBytes + index * Self.arenaBytes(count))
          .bindMemory(to: Float.self, capacity: max(count, 1))
      }
      copies = .allocate(capacity: headers.count)
      for (rank, header) in headers.enumerated() { (copies + rank).initialize(to: arena(header, 0)) }
      values = arena(headers[0], 1)
      velocities = arena(headers[0], 2)
      shared = arena(headers[0], 3)
    }

    deinit { copies.deallocate() }

    /// Where this rank works.
    var memory: GradientExchange.Memory {
      GradientExchange.Memory(
        gradients: copies[topology.nodeRank]!, values: values, velocities: velocities,
        shared: spansNodes ? nil : shared)
    }

    /// What this rank updates.
    var share: GradientExchange.Share {
      let sums = spansNodes ? 1 : topology.nodeSize
      return GradientExchange.Share(range: slice(of: count), gradients: (0..<sums).map { copies[$0]! })
    }

    private var spansNodes: Bool { topology.nodeCount > 1 }
    private var isLeader: Bool { topology.nodeRank == 0 }

    /// This rank's part of `count` floats, in whole vectors, so that no two ranks write into one cache line.
    private func slice(of count: Int) -> Range<Int> {
      let vectors = (count + 15) / 16
      let bound = { (rank: Int) in min(count, rank * vectors / self.topology.nodeSize * 16) }
      return bound(topology.nodeRank)..<bound(topology.nodeRank + 1)
    }

    /// Whole pages.
    private static func arenaBytes(_ count: Int) -> Int {
      (count * MemoryLayout<Float>.stride + pageBytes - 1) / pageBytes * pageBytes
    }

    // MARK: opening

    /// Opens a window for `count` parameters and `sharedCount` floats besides on the nodes of `world`, zeroed. All ranks get one, or all the same reason
    /// why not.
    static func open(
      count: Int, sharedCount: Int, _ topology: NodeTopology, world: MPI_Comm?,
      check: (Int32) throws(CommunicationError) -> Void
    ) throws(CommunicationError) -> Result<NodeWindow, WindowRefusal> {
      func onAllRanks(_ holds: Bool) throws(CommunicationError) -> Bool {
        var value: Int32 = holds ? 1 : 0
        try check(MPI_Allreduce(cmpi_in_place(), &value, 1, cmpi_int32(), cmpi_minimum(), world))
        return value == 1
      }
      // One page more than is used: MPI aligns windows to less than a cache line. Processes map whole pages, so that
      // all find the same beginning.
      let gradientBytes = headerBytes + arenaBytes(count) + pageBytes
      let firstBytes = gradientBytes + 2 * arenaBytes(count) + arenaBytes(sharedCount)
      // A first rank that fails inside MPI_Win_allocate_shared leaves the others waiting there for ever.
      let folder = SharedMemoryFolder.current
      let obstacle = folder.obstacle(to: firstBytes + (topology.nodeSize - 1) * gradientBytes)
      guard try onAllRanks(obstacle == nil) else {
        return .failure(WindowRefusal(reason: obstacle ?? "\(folder.path) of another node is unfit"))
      }
      var info = cmpi_info_null()
      try check(MPI_Info_create(&info))
      // Each rank's part may lie for itself, near the cores that use it.
      try check(MPI_Info_set(info, "alloc_shared_noncontig", "true"))
      var base: UnsafeMutableRawPointer?
      var window: MPI_Win?
      let status = MPI_Win_allocate_shared(
        MPI_Aint(topology.nodeRank == 0 ? firstBytes : gradientBytes), 1, info, topology.node, &base, &window)
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
      let result = NodeWindow(topology, window, headers, count: count, sharedCount: sharedCount)
      result.touch()
      // Nobody looks at a counter that its owner has not set to zero.
      try check(MPI_Barrier(topology.node))
      return .success(result)
    }

    /// Huge pages where the system grants them to shared memory; then touched by the rank that updates them, so that they
    /// lie near it and no step waits for a page.
    private func touch() {
      let own = headers[topology.nodeRank]
      let ownBytes = Self.headerBytes + Self.arenaBytes(count)
      madvise(own, ownBytes, MADV_HUGEPAGE)
      memset(own, 0, ownBytes)
      for (arena, count) in [(values, count), (velocities, count), (shared, sharedCount)] {
        madvise(arena, Self.arenaBytes(count), MADV_HUGEPAGE)
        let mine = slice(of: count)
        (arena + mine.lowerBound).update(repeating: 0, count: mine.count)
      }
    }

    /// Gives the memory back; all ranks of the node call it.
    func close() -> Int32 { MPI_Win_free(&window) }

    // MARK: a step

    /// The bucket is final on this rank. With several nodes: adds this rank's slice of it once it is final on all ranks of
    /// the node; `exchange` adds up among the first ranks of the nodes.
    func sum(
      _ gradients: UnsafeMutablePointer<Float>, count: Int,
      exchange: (UnsafeMutablePointer<Float>, Int) throws(CommunicationError) -> Void
    ) throws(CommunicationError) {
      let offset = gradients - copies[topology.nodeRank]!
      precondition(
        offset >= 0 && offset + count <= self.count, "\(count) gradients at \(offset) of \(self.count)")
      guard spansNodes else {
        started.fingerprint = (started.fingerprint &* 31) &+ offset
        started.count += count
        return
      }
      try meet(offset: offset, count: count)
      let slice = slice(of: count)
      ck_sum_copies(
        copies, Int64(topology.nodeSize), 1, Int64(offset + slice.lowerBound), Int64(slice.count))
      publish(.summed)
      if isLeader {
        for rank in 0..<topology.nodeSize { wait(for: .summed, of: rank, sequence) }
        try exchange(gradients, count)
        publish(.passedOn)
      }
    }

    /// Returns when every bucket started so far is ready for the update in the gradients of `share`.
    func finish() throws(CommunicationError) {
      if spansNodes {
        wait(for: .passedOn, of: 0, sequence)
      } else {
        try meet(offset: started.fingerprint, count: started.count)
        started = (0, 0)
      }
    }

    /// This rank has updated its share: returns when all ranks of the node have, and whether all succeeded. No rank then
    /// uses another's gradients any more.
    func updateFinished(succeeded: Bool) -> Bool {
      outcome(of: topology.nodeRank).pointee = succeeded ? 1 : 0
      publish(.updated)
      var allSucceeded = true
      for rank in 0..<topology.nodeSize {
        wait(for: .updated, of: rank, sequence)
        allSucceeded = allSucceeded && outcome(of: rank).pointee == 1
      }
      return allSucceeded
    }

    /// Waits until all ranks of the node are at this bucket; an error if they mean different ones.
    private func meet(offset: Int, count: Int) throws(CommunicationError) {
      sequence &+= 1
      let own = marks(of: topology.nodeRank)
      (own[0], own[1]) = (offset, count)
      publish(.final)
      for rank in 0..<topology.nodeSize {
        wait(for: .final, of: rank, sequence)
        let mark = marks(of: rank)
        if mark[0] == offset && mark[1] == count { continue }
        throw .mismatchedCollectives(
          detail: "rank \(topology.nodeRank) of the node sums \(count) gradients at \(offset), rank \(rank) "
            + "\(mark[1]) at \(mark[0])")
      }
    }

    // MARK: what ranks tell each other

    private func counter(_ counter: Counter, of rank: Int) -> UnsafeMutablePointer<UInt32> {
      (headers[rank] + counter.rawValue * Self.counterStride).assumingMemoryBound(to: UInt32.self)
    }

    private func publish(_ counter: Counter) {
      cmpi_counter_publish(self.counter(counter, of: topology.nodeRank), sequence)
    }

    private func wait(for counter: Counter, of rank: Int, _ value: UInt32) {
      if rank != topology.nodeRank { cmpi_counter_await(self.counter(counter, of: rank), value) }
    }

    /// A rank publishes its next but one bucket only after all have looked at this one: two marks are enough.
    private func marks(of rank: Int) -> UnsafeMutablePointer<Int> {
      (headers[rank] + Self.markOffset).assumingMemoryBound(to: Int.self) + Int(sequence & 1) * 2
    }

    /// Written anew only after the next `meet`, when all have read it.
    private func outcome(of rank: Int) -> UnsafeMutablePointer<UInt32> {
      (headers[rank] + Self.outcomeOffset).assumingMemoryBound(to: UInt32.self)
    }
  }

  /// Why there is no window.
  struct WindowRefusal: Error {
    let reason: String
  }
#endif
