import Communication
import Networks

/// The timeline of some steps of a training, from the first to the last of them and what follows it until the next: recorded on every
/// rank, brought onto rank 0's clock, written by rank 0.
///
/// Clocks are compared before the first step and after the last; between, their difference is taken to change evenly. The file is
/// written as soon as the last step is over, or at the end of the run if that comes before. A disk that fails is told, and ends nothing.
public final class StepTrace {
  private let options: TraceOptions
  private let network: Network
  private let communicator: any Communicator
  private let console: Console
  private var stepCount = 0
  private var recording: Recording?
  private var isWritten = false

  private struct Recording {
    let timeline: Timeline
    let offsets: [ClockOffset]
    /// Rank 0's time that becomes 0.
    let begin: UInt64
  }

  /// A trace of the steps that `network` is trained for on the communicator's ranks. All ranks make one.
  init(
    _ options: TraceOptions, _ network: Network, _ communicator: any Communicator, _ console: Console
  ) {
    self.options = options
    self.network = network
    self.communicator = communicator
    self.console = console
  }

  /// Another step is about to begin, on all ranks.
  func stepBegins() throws {
    stepCount += 1
    if stepCount == options.steps.lowerBound { try begin() }
    if stepCount == options.steps.upperBound + 1 { try finish() }
  }

  /// No step follows. All ranks call it.
  func finish() throws {
    guard !isWritten else { return }
    isWritten = true
    guard let recording else {
      console.warning(
        "no trace is written: the run ended after \(stepCount) steps, before step \(options.steps.lowerBound)"
      )
      return
    }
    recording.timeline.isRecording = false
    communicator.heartbeat.timeline = nil
    network.observer = nil
    let ends = try communicator.clockOffsets().offsets
    let clocks = zip(recording.offsets, ends).map { RankClock(first: $0, last: $1, begin: recording.begin) }
    let file = communicator.rank == 0 ? TraceFile(options.path, network.leaves.map(\.name)) : nil
    try gather(recording.timeline, clocks, into: file)
    self.recording = nil
    file?.close()
    if let failure = file?.failure { return console.warning("the trace cannot be written: \(failure)") }
    if let file { console.line("trace of \(file.eventCount) spans: \(options.path)\(file.remarks)") }
  }

  private func begin() throws {
    let timeline = Timeline(capacity: options.capacity)
    let (offsets, begin) = try communicator.clockOffsets()
    recording = Recording(timeline: timeline, offsets: offsets, begin: begin)
    network.observer = LayerTracer(network, timeline)
    communicator.heartbeat.timeline = timeline
    timeline.isRecording = true
  }

  /// Rank after rank tells rank 0 what it has, in pieces: nobody holds more than a piece of another's spans.
  private func gather(_ timeline: Timeline, _ clocks: [RankClock], into file: TraceFile?) throws {
    let hosts = try communicator.allGather(Array(HostName.current.utf8)).map {
      String(decoding: $0, as: UTF8.self)
    }
    for rank in 0..<communicator.size {
      file?.describe(
        rank: rank, of: communicator.size, processes: communicator.processCount, host: hosts[rank],
        clocks[rank])
      for (thread, buffer) in timeline.buffers.enumerated() {
        let isMine = rank == communicator.rank
        let counts = try broadcast(isMine ? [buffer.events.count, buffer.droppedCount] : [0, 0], from: rank)
        file?.note(dropped: counts[1])
        try send(buffer, counts[0], from: rank) { piece in
          file?.append(piece, rank: rank, thread: thread, clocks[rank])
        }
      }
    }
  }

  private func broadcast(_ values: [Int], from rank: Int) throws -> [Int] {
    let copy = UnsafeMutableBufferPointer<Int>.allocate(capacity: values.count)
    defer { copy.deallocate() }
    _ = copy.initialize(from: values)
    try communicator.broadcast(UnsafeMutableRawBufferPointer(copy), root: rank)
    return Array(copy)
  }

  private func send(
    _ buffer: TimelineBuffer, _ count: Int, from rank: Int,
    _ take: (UnsafeBufferPointer<TimelineEvent>) -> Void
  ) throws {
    let piece = UnsafeMutableBufferPointer<TimelineEvent>.allocate(capacity: min(max(count, 1), 1 << 14))
    defer { piece.deallocate() }
    for start in stride(from: 0, to: count, by: piece.count) {
      let part = UnsafeMutableBufferPointer(rebasing: piece[0..<min(piece.count, count - start)])
      if rank == communicator.rank {
        _ = part.initialize(from: buffer.events[start..<start + part.count])
      }
      try communicator.broadcast(UnsafeMutableRawBufferPointer(part), root: rank)
      take(UnsafeBufferPointer(part))
    }
  }
}
