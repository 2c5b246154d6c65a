#if WITH_MPI
  import CMPI

  /// What MPI's status codes become.
  enum MPIFailure {
    /// Of an operation that was asked for.
    static func check(_ status: Int32, _ collective: Collective, rank: Int) throws(CommunicationError) {
      guard status != MPI_SUCCESS else { return }
      throw .collectiveFailed(operation: "\(collective) on rank \(rank)", reason: text(status))
    }

    /// Of a function that MPI is started with.
    static func checkStart(_ status: Int32, _ function: String) throws(CommunicationError) {
      guard status != MPI_SUCCESS else { return }
      throw .unavailable(reason: "\(function): \(text(status))")
    }

    private static func text(_ status: Int32) -> String {
      var length: Int32 = 0
      let text = [CChar](unsafeUninitializedCapacity: Int(MPI_MAX_ERROR_STRING)) { buffer, count in
        MPI_Error_string(status, buffer.baseAddress, &length)
        count = Int(length)
      }
      return String(decoding: text.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
  }
#endif
