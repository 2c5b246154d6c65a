import CKernels

/// Where the threads of one lane meet of ranks that are threads. The last to arrive does the work for all; the others
/// sleep meanwhile, so their buffers are its own to use.
///
/// Shards meet here within their process, and then, by the one who does the work, through the group's `outer`. All their reductions
/// take the order of `ReductionTree`; those of an `InProcessGroup` take that of ranks.
final class Meeting: @unchecked Sendable {
  private unowned let group: ThreadGroup
  private let mutex = PthreadMutex()
  private let changed = PthreadCondition()
  /// Guarded by `mutex`, like everything below: what each arrived thread wants; nil if it has not arrived.
  private var wanted: [Collective?]
  private var ended: [Int] = []
  private var generation: UInt64 = 0
  private var failure: CommunicationError?
  /// The last to arrive is at work.
  private var isMeeting = false
  /// Touched by who is at work.
  private var windows: [ShardWindow] = []

  /// Of the group's threads of one lane.
  init(of group: ThreadGroup) {
    self.group = group
    wanted = Array(repeating: nil, count: group.size)
  }

  func join(index: Int, _ collective: Collective) throws(CommunicationError) {
    do throws(CommunicationError) {
      switch try arrive(index, collective) {
      case .last(let all): try meet(all)
      case .waits(let generation):
        group.failIfNobodyGoesOn()
        try wait(generation)
      }
    } catch {
      group.fail(error)
      throw error
    }
  }

  private enum Arrival {
    /// What all want.
    case last([Collective])
    /// Until this is no longer the generation.
    case waits(UInt64)
  }

  private func arrive(_ index: Int, _ collective: Collective) throws(CommunicationError) -> Arrival {
    try mutex.withLock { () throws(CommunicationError) in
      if let failure { throw failure }
      wanted[index] = collective
      checkNobodyWaitsForTheEnded()
      guard failure == nil, wanted.allSatisfy({ $0 != nil }) else { return .waits(generation) }
      isMeeting = true
      return .last(wanted.map { $0! })
    }
  }

  /// Returns once what all want is done.
  private func wait(_ current: UInt64) throws(CommunicationError) {
    try mutex.withLock { () throws(CommunicationError) in
      // Even after a failure elsewhere: who is at work uses everybody's buffers.
      while generation == current, failure == nil || isMeeting { changed.wait(mutex) }
      // An operation that all reached is done, even if one of them failed a moment later.
      if generation == current, let failure { throw failure }
    }
  }

  /// What a thread waits here for others to want; nil if it does not.
  func unmet(_ index: Int) -> Collective? { mutex.withLock { isMeeting ? nil : wanted[index] } }

  /// The thread will join no more operations.
  func leave(index: Int) {
    mutex.withLock {
      ended.append(index)
      if !isMeeting { checkNobodyWaitsForTheEnded() }
    }
  }

  /// A rank has failed, here or in another lane: nobody waits any longer.
  func fail(_ error: CommunicationError) {
    mutex.withLock { failed(error) }
  }

  private func failed(_ error: CommunicationError) {
    failure = failure ?? error
    changed.broadcast()
  }

  private var size: Int { group.size }
  private var firstRank: Int { group.firstRank }
  private var outer: (any QueuedCommunicator)? { group.outer }

  private func checkNobodyWaitsForTheEnded() {
    guard failure == nil, let gone = ended.first, let waiting = wanted.firstIndex(where: { $0 != nil })
    else { return }
    failed(
      .mismatchedCollectives(
        detail: "rank \(firstRank + waiting) calls \(wanted[waiting]!), rank \(firstRank + gone) has ended"))
  }

  /// The mutex is not held meanwhile, so that a failure of the other lane is heard of.
  private func meet(_ collectives: [Collective]) throws(CommunicationError) {
    do throws(CommunicationError) {
      if let other = collectives.firstIndex(where: { !$0.matches(collectives[0]) }) {
        throw .mismatchedCollectives(
          detail: "rank \(firstRank) calls \(collectives[0]), rank \(firstRank + other) calls "
            + "\(collectives[other])")
      }
      try perform(collectives)
    } catch {
      mutex.withLock {
        isMeeting = false
        failed(error)
      }
      throw error
    }
    mutex.withLock {
      isMeeting = false
      for index in 0..<size { wanted[index] = nil }
      generation += 1
      changed.broadcast()
    }
  }

  private func perform(_ collectives: [Collective]) throws(CommunicationError) {
    let first = collectives[0]
    switch first.kind {
    case .allReduceFloat: try reduce(collectives, Float.self)
    case .allReduceDouble: try reduce(collectives, Double.self)
    case .sumBFloat16:
      precondition(!group.isOfShards, "\(first) among shards")
      sumBFloat16(collectives)
    case .broadcast: try broadcast(collectives)
    case .allGather: try gather(collectives)
    case .barrier: try outer?.lanes.perform(first)
    case .start, .stop: break
    case .openWindow: openWindow(collectives)
    case .windowSum:
      try reduce(collectives, Float.self, copyingBack: false)
    case .windowFinish: break
    case .windowUpdated: updateFinished(collectives)
    }
  }

  // MARK: reductions

  private func reduce<Element: ReducibleElement>(
    _ collectives: [Collective], _: Element.Type, copyingBack: Bool = true
  ) throws(CommunicationError) {
    let count = collectives[0].count
    guard count > 0 else { return }
    let buffers = collectives.map { $0.buffer!.assumingMemoryBound(to: Element.self) }
    let operation = collectives[0].operation
    if group.isOfShards || collectives[0].order == .tree {
      ReductionTree.reduce(buffers, count: count, operation)
    } else {
      for operand in buffers.dropFirst() { operation.combine(into: buffers[0], operand, count: count) }
    }
    if let outer {
      var collective = Collective(Element.self == Float.self ? .allReduceFloat : .allReduceDouble)
      collective.buffer = UnsafeMutableRawPointer(buffers[0])
      collective.count = count
      collective.operation = operation
      collective.order = .tree
      try outer.lanes.perform(collective)
    }
    guard copyingBack else { return }
    for copy in buffers.dropFirst() { copy.update(from: buffers[0], count: count) }
  }

  /// The arithmetic of `BFloat16AllReduce`, to the last bit.
  private func sumBFloat16(_ collectives: [Collective]) {
    let count = collectives[0].count
    guard count > 0 else { return }
    let rounded = UnsafeMutablePointer<UInt16>.allocate(capacity: count * size)
    defer { rounded.deallocate() }
    let buffers = collectives.map { $0.buffer!.assumingMemoryBound(to: Float.self) }
    for (rank, buffer) in buffers.enumerated() {
      ck_bfloat16_round(buffer, rounded + rank * count, Int64(count))
    }
    ck_bfloat16_sum(rounded, Int64(size), Int64(count), rounded, Int64(count))
    for buffer in buffers { ck_bfloat16_expand(rounded, buffer, Int64(count)) }
  }

  // MARK: bytes

  private func broadcast(_ collectives: [Collective]) throws(CommunicationError) {
    guard collectives[0].count > 0 else { return }
    let (process, index) = collectives[0].root.quotientAndRemainder(dividingBy: size)
    let source = collectives[outer?.rank ?? 0 == process ? index : 0].buffer!
    if let outer {
      var collective = collectives[0]
      collective.buffer = source
      collective.root = process
      try outer.lanes.perform(collective)
    }
    for receiver in collectives where receiver.buffer != source {
      receiver.buffer!.copyMemory(from: source, byteCount: collectives[0].count)
    }
  }

  private func gather(_ collectives: [Collective]) throws(CommunicationError) {
    let count = collectives[0].count
    let gathered = collectives[0].buffer!
    let mine = gathered + firstRank * count
    for (index, sender) in collectives.enumerated() {
      (mine + index * count).copyMemory(from: sender.source!, byteCount: count)
    }
    if let outer {
      let copy = UnsafeMutableRawPointer.allocate(byteCount: max(1, size * count), alignment: 64)
      defer { copy.deallocate() }
      copy.copyMemory(from: mine, byteCount: size * count)
      var collective = Collective(.allGather)
      collective.source = UnsafeRawPointer(copy)
      collective.buffer = gathered
      collective.count = size * count
      try outer.lanes.perform(collective)
    }
    for receiver in collectives.dropFirst() {
      receiver.buffer!.copyMemory(from: gathered, byteCount: group.processCount * size * count)
    }
  }

  // MARK: memory that shards of a process share

  private func openWindow(_ collectives: [Collective]) {
    precondition(group.isOfShards, "\(collectives[0]) on threads of one process")
    let requests = collectives.map {
      Unmanaged<WindowRequest>.fromOpaque($0.buffer!).takeUnretainedValue()
    }
    let window = ShardWindow(shards: size, count: requests[0].count)
    windows.append(window)
    for (index, request) in requests.enumerated() {
      request.memory = window.memory(of: index)
      request.share = window.share(of: index)
      request.handle = Unmanaged.passUnretained(window).toOpaque()
      request.route = .shards(size * group.processCount, processes: group.processCount)
    }
  }

  private func updateFinished(_ collectives: [Collective]) {
    let requests = collectives.map {
      Unmanaged<WindowRequest>.fromOpaque($0.buffer!).takeUnretainedValue()
    }
    // Other processes update the same values by the same gradients.
    let succeeded = requests.allSatisfy(\.allSucceeded)
    for request in requests { request.allSucceeded = succeeded }
  }
}
