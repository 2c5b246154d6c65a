import Communication
import Foundation

/// A timeline in the trace format of Chrome, as a JSON object with `traceEvents`: chrome://tracing and Perfetto open it.
///
/// A process is a rank, its threads are "training" and one for each lane, every span a complete event ("X"). Written piece by piece, so that
/// memory does not grow with the number of ranks.
final class TraceFile {
  /// Why it could not be written.
  private(set) var failure: String?
  /// Spans so far.
  private(set) var eventCount = 0
  private let path: String
  private let layers: [String]
  private var file: FileHandle?
  private var text = ""
  private var separator = "\n"
  private var droppedCount = 0
  private var accuracies: [Double] = []
  private let escape = JSONEncoder()

  /// Begins the file. `layers`: names that layers' spans refer to.
  init(_ path: String, _ layers: [String]) {
    self.path = path
    self.layers = layers
    escape.outputFormatting = .withoutEscapingSlashes
    do {
      try Data("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[".utf8).write(to: URL(fileURLWithPath: path))
      file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
      try file?.seekToEnd()
    } catch {
      failure = "\(path) – \(error.localizedDescription)"
    }
  }

  /// What the person should know of it, or "".
  var remarks: String {
    let accuracy = accuracies.max() ?? 0
    return (accuracies.count > 1 ? "; clocks of the ranks agree to \(accuracy.fixed(0)) us" : "")
      + (droppedCount > 0 ? "; \(droppedCount) spans had no room: trace fewer steps" : "")
  }

  /// Names a rank's process and threads.
  func describe(rank: Int, of ranks: Int, processes: Int, host: String, _ clock: RankClock) {
    accuracies.append(clock.accuracy)
    let name = processes < ranks ? "shard \(rank)" : "rank \(rank)"
    metadata("process_name", rank, 0, "\"name\":\(quoted("\(name) on \(host)"))")
    metadata("process_sort_index", rank, 0, "\"sort_index\":\(rank)")
    for (thread, name) in ["training", "gradients", "statistics"].enumerated() {
      metadata("thread_name", rank, thread, "\"name\":\"\(name)\"")
    }
  }

  /// So many spans of a rank had no room.
  func note(dropped count: Int) { droppedCount += count }

  /// Adds spans of one thread of a rank.
  func append(_ events: UnsafeBufferPointer<TimelineEvent>, rank: Int, thread: Int, _ clock: RankClock) {
    for event in events where event.kind != .gradientsReady {
      let begin = clock.microseconds(event.begin)
      let (name, category) = title(event)
      line(
        "{\"name\":\(quoted(name)),\"cat\":\"\(category)\",\"ph\":\"X\",\"pid\":\(rank),\"tid\":\(thread),"
          + "\"ts\":\(begin.fixed(3)),\"dur\":\((clock.microseconds(event.end) - begin).fixed(3))"
          + "\(arguments(event))}")
      eventCount += 1
    }
    flush()
  }

  /// Ends the file.
  func close() {
    let accuracy = accuracies.map { $0.fixed(1) }.joined(separator: ",")
    text +=
      "\n],\"otherData\":{\"program\":\"icnn \(Version.current)\",\"clock_accuracy_us\":[\(accuracy)],"
      + "\"dropped_spans\":\(droppedCount)}}\n"
    flush()
    try? file?.close()
  }

  private func title(_ event: TimelineEvent) -> (name: String, category: String) {
    switch event.kind {
    case .phase: (phaseTitle(event), "phase")
    case .forward: (layers[event.layer], "forward")
    case .backward: (layers[event.layer], "backward")
    case .submit: ("hand over: \(collectiveTitle(event))", "hand over")
    case .wait: ("wait: \(collectiveTitle(event))", "wait")
    case .collective: (collectiveTitle(event), "reduce")
    case .part: (event.words ?? "", "part")
    case .gradientsReady: ("", "")
    }
  }

  private func phaseTitle(_ event: TimelineEvent) -> String {
    switch event.phase {
    case .loading?: "wait for images"
    case .forward?: "forward"
    case .backward?: "backward"
    case .reduction?: "wait for sums"
    case .update?: "update"
    case .reporting?: "report"
    case .validation?: "validation"
    case .checkpoint?: "checkpoint"
    case .starting?, .ending?, nil: event.words ?? ""
    }
  }

  private func collectiveTitle(_ event: TimelineEvent) -> String {
    event.bucket > 0 ? "bucket \(event.bucket)" : event.words ?? ""
  }

  private func arguments(_ event: TimelineEvent) -> String {
    switch event.kind {
    case .phase: ",\"args\":{\"step\":\(event.count + 1)}"
    case .submit, .wait, .collective:
      ",\"args\":{\"operation\":\(quoted(event.words ?? "")),\"bytes\":\(event.byteCount),\"ticket\":\(event.ticket)}"
    default: ""
    }
  }

  private func metadata(_ name: String, _ rank: Int, _ thread: Int, _ arguments: String) {
    line("{\"name\":\"\(name)\",\"ph\":\"M\",\"pid\":\(rank),\"tid\":\(thread),\"args\":{\(arguments)}}")
  }

  private func line(_ json: String) {
    text += separator + json
    separator = ",\n"
    if text.utf8.count > 1 << 20 { flush() }
  }

  private func flush() {
    guard failure == nil else { return text = "" }
    do {
      try file?.write(contentsOf: Data(text.utf8))
    } catch {
      failure = "\(path) – \(error.localizedDescription)"
    }
    text = ""
  }

  private func quoted(_ text: String) -> String {
    (try? escape.encode(text)).map { String(decoding: $0, as: UTF8.self) } ?? "\"\""
  }
}
