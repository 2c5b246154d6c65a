#if WITH_MPI
  import CKernels
  import CMPI

  /// A sum over ranks whose numbers travel as bfloat16 and are added in float32.
  ///
  /// Each rank adds one slice of everybody's numbers and hands the rounded sum to all: 4 · (1 − 1/ranks) bytes a number
  /// go out and come in on every rank, however many there are, and all ranks hold the same bits.
  final class BFloat16AllReduce {
    private let communicator: MPI_Comm?
    private let size: Int
    private let outgoing: UnsafeMutablePointer<UInt16>
    private let incoming: UnsafeMutablePointer<UInt16>

    /// Numbers of one round; cuts depend on the count alone.
    private static let chunk = 1 << 20

    /// For the ranks of `communicator`, `size` in number.
    init(_ communicator: MPI_Comm?, size: Int) {
      self.communicator = communicator
      self.size = size
      outgoing = .allocate(capacity: Self.chunk + size)
      incoming = .allocate(capacity: Self.chunk + size)
      outgoing.initialize(repeating: 0, count: Self.chunk + size)
      incoming.initialize(repeating: 0, count: Self.chunk + size)
    }

    deinit {
      outgoing.deallocate()
      incoming.deallocate()
    }

    /// Replaces `values` by the sum over ranks. Returns MPI's status.
    func sum(_ values: UnsafeMutablePointer<Float>, count: Int, _ heartbeat: LaneHeartbeat) -> Int32 {
      for start in stride(from: 0, to: count, by: Self.chunk) {
        let length = min(Self.chunk, count - start)
        // The last slices may reach beyond the end; what lies there is summed and thrown away.
        let slice = (length + size - 1) / size
        heartbeat.part(.pack) { ck_bfloat16_round(values + start, outgoing, Int64(length)) }
        var status = heartbeat.part(.exchange) {
          MPI_Alltoall(
            outgoing, Int32(slice), cmpi_uint16(), incoming, Int32(slice), cmpi_uint16(), communicator)
        }
        guard status == MPI_SUCCESS else { return status }
        heartbeat.part(.unpack) {
          ck_bfloat16_sum(incoming, Int64(size), Int64(slice), outgoing, Int64(slice))
        }
        status = heartbeat.part(.exchange) {
          MPI_Allgather(
            outgoing, Int32(slice), cmpi_uint16(), incoming, Int32(slice), cmpi_uint16(), communicator)
        }
        guard status == MPI_SUCCESS else { return status }
        heartbeat.part(.unpack) { ck_bfloat16_expand(incoming, values + start, Int64(length)) }
        heartbeat.progress()
      }
      return Int32(MPI_SUCCESS)
    }
  }
#endif
