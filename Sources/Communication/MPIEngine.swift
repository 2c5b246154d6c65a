#if WITH_MPI
  import CMPI
  import Glibc

  /// MPI as the lane of gradients sees it, from its start to its end; every function but `abort` runs on that lane's thread.
  final class MPIEngine: CollectiveEngine, @unchecked Sendable {
    // Written by `start`; read by other threads only after they have waited for it.
    private(set) var rank = 0
    private(set) var size = 1
    private(set) var localRank = 0
    private(set) var localSize = 1
    private(set) var topology = NodeTopology()
    private var threadLevel: Int32 = 0
    private var communicator = cmpi_comm_null()
    /// All-reduces of this lane.
    private var reductions: MPIReductions?
    /// The other lane's engine; nil if this MPI lets only one thread call it.
    private(set) var statistics: MPIStatisticsEngine?
    /// Ranks of one node at most, whatever the host; tests make several nodes of one host.
    private let nodeLimit: Int
    private var windows: [NodeWindow] = []
    /// Among all ranks, and among the first ranks of the nodes; made when first needed.
    private var rankBFloat16: BFloat16AllReduce?
    private var leaderBFloat16: BFloat16AllReduce?

    /// The host of every rank of the world.
    private(set) var hosts: [String] = []
    /// Where the ranks of this node see each other; nil if they cannot.
    private(set) var board: StatusBoard?
    private let heartbeat: LaneHeartbeat

    init(nodeLimit: Int, heartbeat: Heartbeat) {
      self.nodeLimit = nodeLimit
      self.heartbeat = LaneHeartbeat(heartbeat: heartbeat, lane: .gradients)
    }

    /// Bytes of one MPI_Bcast, whose count is an Int32.
    private static let broadcastChunkBytes = 64 << 20

    func perform(_ collective: Collective) throws(CommunicationError) {
      switch collective.kind {
      case .start: try start()
      case .allReduceFloat, .allReduceDouble: try reductions!.perform(collective)
      case .sumBFloat16:
        let sum = rankBFloat16 ?? BFloat16AllReduce(communicator, size: size)
        rankBFloat16 = sum
        try check(
          sum.sum(
            collective.buffer!.assumingMemoryBound(to: Float.self), count: collective.count, heartbeat),
          collective)
      case .broadcast: try broadcast(collective)
      case .allGather:
        // At most one block of QueuedCommunicator.allGather: fits an Int32.
        let count = Int32(collective.count)
        try check(
          MPI_Allgather(
            collective.source, count, cmpi_byte(), collective.buffer, count, cmpi_byte(), communicator),
          collective)
      case .barrier: try check(MPI_Barrier(communicator), collective)
      case .openWindow: try openWindow(collective)
      case .windowSum: try windowSum(collective)
      case .windowFinish: try Self.window(of: collective).finish()
      case .windowUpdated: updateFinished(collective)
      case .stop: try stop(collective)
      }
    }

    /// Ends all ranks; from any thread.
    func abort(code: Int32) -> Never {
      // Only MPI_THREAD_MULTIPLE lets another thread call MPI while a lane is blocked in it.
      // With less, the launcher notices a process that ends without MPI_Finalize.
      if threadLevel == Int32(MPI_THREAD_MULTIPLE) { MPI_Abort(cmpi_comm_world(), code) }
      _exit(code)
    }

    private func start() throws(CommunicationError) {
      // FUNNELED is enough for one lane; MULTIPLE is for the second and for `abort`.
      var provided: Int32 = 0
      try checkStart(MPI_Init_thread(nil, nil, Int32(MPI_THREAD_MULTIPLE), &provided), "MPI_Init_thread")
      guard provided >= Int32(MPI_THREAD_FUNNELED) else {
        throw .unavailable(reason: "MPI provides thread level \(provided), needed: MPI_THREAD_FUNNELED")
      }
      threadLevel = provided
      // A duplicate, so that no other library's messages mix with ours. Errors are returned instead of ending the
      // process inside MPI, so that the program can say what it was doing.
      try checkStart(MPI_Comm_set_errhandler(cmpi_comm_world(), cmpi_errors_return()), "set_errhandler")
      try checkStart(MPI_Comm_dup(cmpi_comm_world(), &communicator), "MPI_Comm_dup")
      try checkStart(MPI_Comm_set_errhandler(communicator, cmpi_errors_return()), "set_errhandler")
      (rank, size) = try MPIReductions.rankAndSize(of: communicator)

      var host = cmpi_comm_null()
      try checkStart(
        MPI_Comm_split_type(communicator, Int32(MPI_COMM_TYPE_SHARED), 0, cmpi_info_null(), &host),
        "MPI_Comm_split_type")
      (localRank, localSize) = try MPIReductions.rankAndSize(of: host)
      try findNodes(host)
      try checkStart(MPI_Comm_free(&host), "MPI_Comm_free")
      hosts = try hostNames()
      board = try StatusBoard.open(topology, worldRank: rank, heartbeat.heartbeat) {
        (status, function) throws(CommunicationError) in try checkStart(status, function)
      }

      reductions = try MPIReductions(communicator, heartbeat)
      try openStatistics()
    }

    /// A second lane if all ranks can have one.
    private func openStatistics() throws(CommunicationError) {
      var level = threadLevel
      try checkStart(
        MPI_Allreduce(cmpi_in_place(), &level, 1, cmpi_int32(), cmpi_minimum(), communicator), "MPI_Allreduce"
      )
      guard level == Int32(MPI_THREAD_MULTIPLE) else { return }
      var duplicate = cmpi_comm_null()
      try checkStart(MPI_Comm_dup(communicator, &duplicate), "MPI_Comm_dup")
      try checkStart(MPI_Comm_set_errhandler(duplicate, cmpi_errors_return()), "set_errhandler")
      statistics = try MPIStatisticsEngine(duplicate, heartbeat.heartbeat)
    }

    /// Splits the world into nodes whose ranks share memory, and their first ranks.
    private func findNodes(_ host: MPI_Comm?) throws(CommunicationError) {
      try checkStart(
        MPI_Comm_split(host, Int32(localRank / nodeLimit), 0, &topology.node), "MPI_Comm_split")
      try checkStart(MPI_Comm_set_errhandler(topology.node, cmpi_errors_return()), "set_errhandler")
      (topology.nodeRank, topology.nodeSize) = try MPIReductions.rankAndSize(of: topology.node)
      let isLeader = topology.nodeRank == 0
      try checkStart(
        MPI_Comm_split(communicator, isLeader ? 0 : cmpi_undefined(), 0, &topology.leaders), "MPI_Comm_split")
      if isLeader {
        try checkStart(MPI_Comm_set_errhandler(topology.leaders, cmpi_errors_return()), "set_errhandler")
      }
      var counts = [Int32(isLeader ? 1 : 0)]
      try checkStart(
        MPI_Allreduce(cmpi_in_place(), &counts, 1, cmpi_int32(), cmpi_sum(), communicator), "MPI_Allreduce")
      topology.nodeCount = Int(counts[0])
      counts[0] = Int32(topology.nodeSize)
      try checkStart(
        MPI_Allreduce(cmpi_in_place(), &counts, 1, cmpi_int32(), cmpi_maximum(), communicator),
        "MPI_Allreduce")
      topology.largestNodeSize = Int(counts[0])
    }

    /// Names are cut at 63 bytes, a label of the domain name system.
    private func hostNames() throws(CommunicationError) -> [String] {
      let bytes = 64
      var own = [UInt8](repeating: 0, count: bytes)
      own.withUnsafeMutableBytes {
        _ = gethostname($0.baseAddress!.assumingMemoryBound(to: CChar.self), bytes - 1)
      }
      var all = [UInt8](repeating: 0, count: bytes * size)
      try checkStart(
        MPI_Allgather(&own, Int32(bytes), cmpi_byte(), &all, Int32(bytes), cmpi_byte(), communicator),
        "MPI_Allgather")
      return (0..<size).map { rank in
        String(decoding: all[(rank * bytes)...].prefix(bytes).prefix { $0 != 0 }, as: UTF8.self)
      }
    }

    private func openWindow(_ collective: Collective) throws(CommunicationError) {
      let request = Unmanaged<WindowRequest>.fromOpaque(collective.buffer!).takeUnretainedValue()
      let outcome = try NodeWindow.open(
        count: request.count, sharedCount: request.sharedCount, topology, world: communicator
      ) { (status) throws(CommunicationError) in try check(status, collective)
      }
      switch outcome {
      case .success(let window):
        windows.append(window)
        request.memory = window.memory
        request.share = window.share
        request.handle = Unmanaged.passUnretained(window).toOpaque()
        request.route = .window(nodes: topology.nodeCount, ranks: size)
      case .failure(let refusal): request.refusal = refusal.reason
      }
    }

    /// The window lives until MPI ends.
    private static func window(of collective: Collective) -> NodeWindow {
      Unmanaged<NodeWindow>.fromOpaque(collective.source!).takeUnretainedValue()
    }

    private func windowSum(_ collective: Collective) throws(CommunicationError) {
      let gradients = collective.buffer!.assumingMemoryBound(to: Float.self)
      try Self.window(of: collective).sum(gradients, count: collective.count) {
        (values, count) throws(CommunicationError) in
        try heartbeat.part(.exchange) { () throws(CommunicationError) in
          try exchange(values, count, collective)
        }
      }
    }

    private func updateFinished(_ collective: Collective) {
      let request = Unmanaged<WindowRequest>.fromOpaque(collective.buffer!).takeUnretainedValue()
      request.allSucceeded = Self.window(of: collective).updateFinished(succeeded: request.allSucceeded)
    }

    /// Adds up among the first ranks of the nodes.
    private func exchange(
      _ values: UnsafeMutablePointer<Float>, _ count: Int, _ collective: Collective
    ) throws(CommunicationError) {
      if collective.precision == .bfloat16 {
        let sum = leaderBFloat16 ?? BFloat16AllReduce(topology.leaders, size: topology.nodeCount)
        leaderBFloat16 = sum
        return try check(sum.sum(values, count: count, heartbeat), collective)
      }
      let chunk = MPIReductions.chunkBytes / MemoryLayout<Float>.stride
      for start in stride(from: 0, to: count, by: chunk) {
        try check(
          MPI_Allreduce(
            cmpi_in_place(), values + start, Int32(min(chunk, count - start)), cmpi_float(), cmpi_sum(),
            topology.leaders),
          collective)
        heartbeat.progress()
      }
    }

    private func broadcast(_ collective: Collective) throws(CommunicationError) {
      for start in stride(from: 0, to: collective.count, by: Self.broadcastChunkBytes) {
        try check(
          MPI_Bcast(
            collective.buffer! + start, Int32(min(Self.broadcastChunkBytes, collective.count - start)),
            cmpi_byte(), Int32(collective.root), communicator),
          collective)
        heartbeat.progress()
      }
    }

    private func stop(_ collective: Collective) throws(CommunicationError) {
      try reductions!.close(collective)
      for window in windows { try check(window.close(), collective) }
      if topology.nodeRank == 0 { try check(MPI_Comm_free(&topology.leaders), collective) }
      try check(MPI_Comm_free(&topology.node), collective)
      try check(MPI_Comm_free(&communicator), collective)
      try check(MPI_Finalize(), collective)
    }

    private func check(_ status: Int32, _ collective: Collective) throws(CommunicationError) {
      try MPIFailure.check(status, collective, rank: rank)
    }

    private func checkStart(_ status: Int32, _ function: String) throws(CommunicationError) {
      try MPIFailure.checkStart(status, function)
    }
  }
#endif
