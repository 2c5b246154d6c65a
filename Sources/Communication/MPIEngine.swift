#if WITH_MPI
  import CMPI
  import Glibc

  /// MPI as the communication thread sees it; every function but `abort` runs on that thread.
  final class MPIEngine: CollectiveEngine, @unchecked Sendable {
    // Written by `start`; read by other threads only after they have waited for it.
    private(set) var rank = 0
    private(set) var size = 1
    private(set) var localRank = 0
    private(set) var localSize = 1
    private(set) var topology = NodeTopology()
    private var threadLevel: Int32 = 0
    private var communicator = cmpi_comm_null()
    private var floatOperations = Operations()
    private var doubleOperations = Operations()
    /// Ranks of one node at most, whatever the host; tests make several nodes of one host.
    private let nodeLimit: Int
    private var windows: [NodeWindow] = []
    /// Among all ranks, and among the first ranks of the nodes; made when first needed.
    private var rankBFloat16: BFloat16AllReduce?
    private var leaderBFloat16: BFloat16AllReduce?
    private var rankTree: TreeAllReduce?

    /// The host of every rank of the world.
    private(set) var hosts: [String] = []
    /// Where the ranks of this node see each other; nil if they cannot.
    private(set) var board: StatusBoard?
    private let heartbeat: Heartbeat

    init(nodeLimit: Int, heartbeat: Heartbeat) {
      self.nodeLimit = nodeLimit
      self.heartbeat = heartbeat
    }

    /// Bytes of one MPI_Allreduce. Cuts depend on the count alone, so results do not depend on timing.
    private static let reductionChunkBytes = 4 << 20
    /// Bytes of one MPI_Bcast, whose count is an Int32.
    private static let broadcastChunkBytes = 64 << 20

    func perform(_ collective: Collective) throws(CommunicationError) {
      switch collective.kind {
      case .start: try start()
      case .allReduceFloat: try allReduce(collective, Float.self, cmpi_float(), floatOperations)
      case .allReduceDouble: try allReduce(collective, Double.self, cmpi_double(), doubleOperations)
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
      // Only MPI_THREAD_MULTIPLE lets another thread call MPI while the communication thread is blocked in it.
      // With less, the launcher notices a process that ends without MPI_Finalize.
      if threadLevel == Int32(MPI_THREAD_MULTIPLE) { MPI_Abort(cmpi_comm_world(), code) }
      _exit(code)
    }

    private func start() throws(CommunicationError) {
      // FUNNELED is enough for the operations; MULTIPLE is for `abort`.
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
      (rank, size) = try rankAndSize(of: communicator)

      var host = cmpi_comm_null()
      try checkStart(
        MPI_Comm_split_type(communicator, Int32(MPI_COMM_TYPE_SHARED), 0, cmpi_info_null(), &host),
        "MPI_Comm_split_type")
      (localRank, localSize) = try rankAndSize(of: host)
      try findNodes(host)
      try checkStart(MPI_Comm_free(&host), "MPI_Comm_free")
      hosts = try hostNames()
      board = try StatusBoard.open(topology, worldRank: rank, heartbeat) {
        (status, function) throws(CommunicationError) in try checkStart(status, function)
      }

      floatOperations = try Operations(
        minimum: makeOperation { input, result, count, _ in
          combine(.minimum, Float.self, input, result, count)
        },
        maximum: makeOperation { input, result, count, _ in
          combine(.maximum, Float.self, input, result, count)
        },
        logSumExp: makeOperation { input, result, count, _ in
          combine(.logSumExp, Float.self, input, result, count)
        })
      doubleOperations = try Operations(
        minimum: makeOperation { input, result, count, _ in
          combine(.minimum, Double.self, input, result, count)
        },
        maximum: makeOperation { input, result, count, _ in
          combine(.maximum, Double.self, input, result, count)
        },
        logSumExp: makeOperation { input, result, count, _ in
          combine(.logSumExp, Double.self, input, result, count)
        })
    }

    /// Splits the world into nodes whose ranks share memory, and their first ranks.
    private func findNodes(_ host: MPI_Comm?) throws(CommunicationError) {
      try checkStart(
        MPI_Comm_split(host, Int32(localRank / nodeLimit), 0, &topology.node), "MPI_Comm_split")
      try checkStart(MPI_Comm_set_errhandler(topology.node, cmpi_errors_return()), "set_errhandler")
      (topology.nodeRank, topology.nodeSize) = try rankAndSize(of: topology.node)
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

    private func rankAndSize(of communicator: MPI_Comm?) throws(CommunicationError) -> (Int, Int) {
      var rank: Int32 = 0
      var size: Int32 = 0
      try checkStart(MPI_Comm_rank(communicator, &rank), "MPI_Comm_rank")
      try checkStart(MPI_Comm_size(communicator, &size), "MPI_Comm_size")
      return (Int(rank), Int(size))
    }

    private func makeOperation(
      _ function:
        @escaping @convention(c) (
          UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int32>?,
          UnsafeMutablePointer<MPI_Datatype?>?
        ) -> Void
    ) throws(CommunicationError) -> MPI_Op? {
      var operation: MPI_Op?
      try checkStart(MPI_Op_create(function, 1, &operation), "MPI_Op_create")
      return operation
    }

    private func allReduce<Element: ReducibleElement>(
      _ collective: Collective, _: Element.Type, _ type: MPI_Datatype?, _ operations: Operations
    ) throws(CommunicationError) {
      if collective.order == .tree {
        let tree = rankTree ?? TreeAllReduce(communicator, rank: rank, size: size)
        rankTree = tree
        let values = collective.buffer!.assumingMemoryBound(to: Element.self)
        return try check(
          tree.reduce(values, count: collective.count, collective.operation, heartbeat), collective)
      }
      let operation = operations[collective.operation]
      let chunk = Self.reductionChunkBytes / MemoryLayout<Element>.stride
      for start in stride(from: 0, to: collective.count, by: chunk) {
        try check(
          MPI_Allreduce(
            cmpi_in_place(), collective.buffer! + start * MemoryLayout<Element>.stride,
            Int32(min(chunk, collective.count - start)), type, operation, communicator),
          collective)
        heartbeat.progress()
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
      let chunk = Self.reductionChunkBytes / MemoryLayout<Float>.stride
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
      for operations in [floatOperations, doubleOperations] {
        for var operation in operations.created { try check(MPI_Op_free(&operation), collective) }
      }
      for window in windows { try check(window.close(), collective) }
      if topology.nodeRank == 0 { try check(MPI_Comm_free(&topology.leaders), collective) }
      try check(MPI_Comm_free(&topology.node), collective)
      try check(MPI_Comm_free(&communicator), collective)
      try check(MPI_Finalize(), collective)
    }

    private func check(_ status: Int32, _ collective: Collective) throws(CommunicationError) {
      guard status != MPI_SUCCESS else { return }
      throw .collectiveFailed(operation: "\(collective) on rank \(rank)", reason: errorText(status))
    }

    private func checkStart(_ status: Int32, _ function: String) throws(CommunicationError) {
      guard status != MPI_SUCCESS else { return }
      throw .unavailable(reason: "\(function): \(errorText(status))")
    }

    private func errorText(_ status: Int32) -> String {
      var length: Int32 = 0
      let text = [CChar](unsafeUninitializedCapacity: Int(MPI_MAX_ERROR_STRING)) { buffer, count in
        MPI_Error_string(status, buffer.baseAddress, &length)
        count = Int(length)
      }
      return String(decoding: text.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
  }

  /// MPI's operations for one element type. MPI_MIN and MPI_MAX lose or keep a NaN depending on the order of the
  /// operands, which differs between ranks; ours are those of the in-process group.
  private struct Operations {
    var minimum: MPI_Op?
    var maximum: MPI_Op?
    var logSumExp: MPI_Op?

    var created: [MPI_Op?] { [minimum, maximum, logSumExp] }

    subscript(operation: ReductionOperation) -> MPI_Op? {
      switch operation {
      case .sum: cmpi_sum()
      case .minimum: minimum
      case .maximum: maximum
      case .logSumExp: logSumExp
      }
    }
  }

  /// An MPI_User_function: result[i] = operation(result[i], input[i]).
  private func combine<Element: ReducibleElement>(
    _ operation: ReductionOperation, _: Element.Type, _ input: UnsafeMutableRawPointer?,
    _ result: UnsafeMutableRawPointer?, _ count: UnsafeMutablePointer<Int32>?
  ) {
    operation.combine(
      into: result!.assumingMemoryBound(to: Element.self), input!.assumingMemoryBound(to: Element.self),
      count: Int(count!.pointee))
  }
#endif
