/// A communicator whose operations wait in queues that threads of their own work off.
protocol QueuedCommunicator: Communicator {
  var lanes: CommunicationLanes { get }
  /// Why no ranks can share memory through this communicator; nil if they may be able to.
  var windowRefusal: String? { get }
}

/// Bytes that one rank contributes to one round of `allGather`: bounds the memory it needs.
private let gatherBlockBytes = 1 << 20

extension QueuedCommunicator {
  /// Number of operations asked for so far.
  public func operationCount(of lane: Lane) -> UInt64 { lanes[lane].operationCount }

  /// What this rank is doing.
  public var heartbeat: Heartbeat { lanes.heartbeat }

  /// Replaces `values` by their elementwise reduction over all ranks, in the background.
  public func startAllReduce(
    _ values: UnsafeMutableBufferPointer<Float>, _ operation: ReductionOperation
  ) -> PendingReduction {
    var collective = Collective(.allReduceFloat)
    collective.buffer = UnsafeMutableRawPointer(values.baseAddress)
    collective.count = values.count
    collective.operation = operation
    return lanes.start(collective)
  }

  /// The same in Double.
  public func startAllReduce(
    _ values: UnsafeMutableBufferPointer<Double>, _ operation: ReductionOperation
  ) -> PendingReduction {
    var collective = Collective(.allReduceDouble)
    collective.buffer = UnsafeMutableRawPointer(values.baseAddress)
    collective.count = values.count
    collective.operation = operation
    return lanes.start(collective)
  }

  /// The way in which this rank's gradients become the sum over all ranks; see `GradientExchange`.
  public func gradientExchange(
    _ path: ReductionPath, _ precision: ExchangePrecision
  ) -> GradientExchange {
    size == 1
      ? GradientExchange()
      : GradientExchange(lanes[.gradients], path, precision, windowRefusal: windowRefusal)
  }

  /// Copies `bytes` of rank `root` to all ranks.
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, root: Int) throws(CommunicationError) {
    precondition((0..<size).contains(root), "broadcast from rank \(root) of \(size)")
    var collective = Collective(.broadcast)
    collective.buffer = bytes.baseAddress
    collective.count = bytes.count
    collective.root = root
    try lanes.perform(collective)
  }

  /// Each rank's bytes (of any length), in the order of ranks, on every rank.
  public func allGather(_ bytes: [UInt8]) throws(CommunicationError) -> [[UInt8]] {
    let length = UnsafeMutablePointer<Int>.allocate(capacity: 1)
    let lengths = UnsafeMutablePointer<Int>.allocate(capacity: size)
    defer {
      length.deallocate()
      lengths.deallocate()
    }
    length.initialize(to: bytes.count)
    lengths.initialize(repeating: 0, count: size)
    try gather(length, into: lengths, bytesPerRank: MemoryLayout<Int>.size)

    // All ranks know all lengths, so they agree on the rounds; shorter ranks send padding.
    let longest = (0..<size).map { lengths[$0] }.max()!
    let block = min(longest, gatherBlockBytes)
    let outgoing = UnsafeMutableRawBufferPointer.allocate(byteCount: block, alignment: 64)
    let incoming = UnsafeMutableRawBufferPointer.allocate(byteCount: block * size, alignment: 64)
    defer {
      outgoing.deallocate()
      incoming.deallocate()
    }
    var gathered = (0..<size).map { rank in
      var bytes: [UInt8] = []
      bytes.reserveCapacity(lengths[rank])
      return bytes
    }
    for start in stride(from: 0, to: longest, by: max(block, 1)) {
      outgoing.initializeMemory(as: UInt8.self, repeating: 0)
      outgoing.copyBytes(from: bytes[min(start, bytes.count)..<min(start + block, bytes.count)])
      try gather(outgoing.baseAddress!, into: incoming.baseAddress!, bytesPerRank: block)
      for rank in 0..<size where lengths[rank] > start {
        let share = incoming[(rank * block)..<(rank * block + min(block, lengths[rank] - start))]
        gathered[rank].append(contentsOf: share)
      }
    }
    return gathered
  }

  private func gather(
    _ source: UnsafeRawPointer, into buffer: UnsafeMutableRawPointer, bytesPerRank: Int
  ) throws(CommunicationError) {
    var collective = Collective(.allGather)
    collective.source = source
    collective.buffer = buffer
    collective.count = bytesPerRank
    try lanes.perform(collective)
  }

  /// Returns when every rank has called it.
  public func barrier() throws(CommunicationError) {
    try lanes.perform(Collective(.barrier))
  }
}
