#if WITH_MPI
  import CMPI

  /// All-reduces over one communicator: what one lane uses of MPI, with operations and buffers of its own. Not thread-safe.
  final class MPIReductions {
    let rank: Int
    private let size: Int
    private let communicator: MPI_Comm?
    private let floatOperations: Operations
    private let doubleOperations: Operations
    /// Made when first needed.
    private var tree: TreeAllReduce?
    private let heartbeat: LaneHeartbeat

    /// Bytes of one MPI_Allreduce. Cuts depend on the count alone, so results do not depend on timing.
    static let chunkBytes = 4 << 20

    /// Among the ranks of `communicator`, which outlives it. The heartbeat hears of every piece.
    init(_ communicator: MPI_Comm?, _ heartbeat: LaneHeartbeat) throws(CommunicationError) {
      self.communicator = communicator
      self.heartbeat = heartbeat
      (rank, size) = try Self.rankAndSize(of: communicator)
      floatOperations = try Operations(
        minimum: Self.makeOperation { input, result, count, _ in
          combine(.minimum, Float.self, input, result, count)
        },
        maximum: Self.makeOperation { input, result, count, _ in
          combine(.maximum, Float.self, input, result, count)
        },
        logSumExp: Self.makeOperation { input, result, count, _ in
          combine(.logSumExp, Float.self, input, result, count)
        })
      doubleOperations = try Operations(
        minimum: Self.makeOperation { input, result, count, _ in
          combine(.minimum, Double.self, input, result, count)
        },
        maximum: Self.makeOperation { input, result, count, _ in
          combine(.maximum, Double.self, input, result, count)
        },
        logSumExp: Self.makeOperation { input, result, count, _ in
          combine(.logSumExp, Double.self, input, result, count)
        })
    }

    /// An `allReduceFloat` or `allReduceDouble`.
    func perform(_ collective: Collective) throws(CommunicationError) {
      switch collective.kind {
      case .allReduceFloat: try reduce(collective, Float.self, cmpi_float(), floatOperations)
      case .allReduceDouble: try reduce(collective, Double.self, cmpi_double(), doubleOperations)
      default: preconditionFailure("\(collective) is no all-reduce")
      }
    }

    /// Gives the operations back.
    func close(_ collective: Collective) throws(CommunicationError) {
      for operations in [floatOperations, doubleOperations] {
        for var operation in operations.created {
          try MPIFailure.check(MPI_Op_free(&operation), collective, rank: rank)
        }
      }
    }

    private func reduce<Element: ReducibleElement>(
      _ collective: Collective, _: Element.Type, _ type: MPI_Datatype?, _ operations: Operations
    ) throws(CommunicationError) {
      if collective.order == .tree {
        let tree = self.tree ?? TreeAllReduce(communicator, rank: rank, size: size)
        self.tree = tree
        let values = collective.buffer!.assumingMemoryBound(to: Element.self)
        let status = tree.reduce(values, count: collective.count, collective.operation, heartbeat)
        return try MPIFailure.check(status, collective, rank: rank)
      }
      let operation = operations[collective.operation]
      let chunk = Self.chunkBytes / MemoryLayout<Element>.stride
      for start in stride(from: 0, to: collective.count, by: chunk) {
        try MPIFailure.check(
          MPI_Allreduce(
            cmpi_in_place(), collective.buffer! + start * MemoryLayout<Element>.stride,
            Int32(min(chunk, collective.count - start)), type, operation, communicator),
          collective, rank: rank)
        heartbeat.progress()
      }
    }

    /// This process's number in a communicator, and how many there are.
    static func rankAndSize(of communicator: MPI_Comm?) throws(CommunicationError) -> (Int, Int) {
      var rank: Int32 = 0
      var size: Int32 = 0
      try MPIFailure.checkStart(MPI_Comm_rank(communicator, &rank), "MPI_Comm_rank")
      try MPIFailure.checkStart(MPI_Comm_size(communicator, &size), "MPI_Comm_size")
      return (Int(rank), Int(size))
    }

    private static func makeOperation(
      _ function:
        @escaping @convention(c) (
          UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int32>?,
          UnsafeMutablePointer<MPI_Datatype?>?
        ) -> Void
    ) throws(CommunicationError) -> MPI_Op? {
      var operation: MPI_Op?
      try MPIFailure.checkStart(MPI_Op_create(function, 1, &operation), "MPI_Op_create")
      return operation
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
