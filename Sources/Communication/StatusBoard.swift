#if WITH_MPI
  import CMPI
  import Glibc
  import Synchronization

  /// The heartbeats of a node's ranks, in memory that they share.
  ///
  /// A file without a name: the first rank makes it, the others open it, and it is removed before anybody goes on, so that
  /// nothing is left however the ranks end. It stays mapped until the process ends.
  final class StatusBoard: @unchecked Sendable {
    private let memory: UnsafeMutableRawPointer
    private let nodeSize: Int

    private init(_ memory: UnsafeMutableRawPointer, nodeSize: Int) {
      self.memory = memory
      self.nodeSize = nodeSize
    }

    /// Opens the board of the node and moves `heartbeat` onto it. All ranks of the node call it. Nil on all of them if the
    /// memory is not to be had: the watchdogs then know of their own rank alone.
    static func open(
      _ topology: NodeTopology, worldRank: Int, _ heartbeat: Heartbeat,
      check: (Int32, String) throws(CommunicationError) -> Void
    ) throws(CommunicationError) -> StatusBoard? {
      let bytes = Heartbeat.stride * (topology.nodeSize + 1)
      var path = [CChar](repeating: 0, count: 256)
      var descriptor: Int32 = -1
      if topology.nodeRank == 0 {
        let template = Array("\(SharedMemoryFolder.current.path)/icnn-XXXXXX\0".utf8CString)
        if template.count <= path.count {
          path.replaceSubrange(0..<template.count, with: template)
          descriptor = mkstemp(&path)
        }
        // Allocated, not only sized: a full file system must fail here, not in a store to the memory.
        if descriptor < 0 || posix_fallocate(descriptor, 0, bytes) != 0 { path[0] = 0 }
      }
      try check(MPI_Bcast(&path, Int32(path.count), cmpi_byte(), 0, topology.node), "MPI_Bcast")
      if topology.nodeRank != 0 && path[0] != 0 { descriptor = Glibc.open(path, O_RDWR | O_CLOEXEC) }
      let mapped =
        descriptor < 0
        ? MAP_FAILED : mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
      if descriptor >= 0 { close(descriptor) }
      var succeeded: Int32 = mapped == MAP_FAILED || path[0] == 0 ? 0 : 1
      try check(
        MPI_Allreduce(cmpi_in_place(), &succeeded, 1, cmpi_int32(), cmpi_minimum(), topology.node),
        "MPI_Allreduce")
      if topology.nodeRank == 0 && path[0] != 0 { unlink(path) }
      guard succeeded == 1, let mapped else {
        if let mapped, mapped != MAP_FAILED { munmap(mapped, bytes) }
        return nil
      }
      heartbeat.move(to: mapped + topology.nodeRank * Heartbeat.stride, rank: worldRank)
      // Nobody looks at words that their owner has not written.
      try check(MPI_Barrier(topology.node), "MPI_Barrier")
      return StatusBoard(mapped, nodeSize: topology.nodeSize)
    }

    /// Of all ranks of the node.
    var statuses: [RankStatus] {
      (0..<nodeSize).map { Heartbeat.status(in: memory + $0 * Heartbeat.stride) }
    }

    /// True for the first caller of the node: one rank speaks for all.
    func isFirstToSpeak() -> Bool {
      let word = (memory + nodeSize * Heartbeat.stride).assumingMemoryBound(to: Atomic<UInt64>.self)
      return word.pointee.compareExchange(expected: 0, desired: 1, ordering: .relaxed).exchanged
    }
  }
#endif
