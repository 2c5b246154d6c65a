import Communication
import Foundation
import TestSupport
import Testing

/// Timelines of real ranks, read as a viewer would.
@Suite("Traces", .serialized) struct TraceTests {
  /// A complete event.
  struct Span {
    let name: String
    let category: String
    let rank: Int
    let thread: Int
    let begin: Double
    let duration: Double
    let arguments: [String: Any]
    var end: Double { begin + duration }
  }

  private static func read(_ path: String) throws -> (
    spans: [Span], names: [Int: String], other: [String: Any]
  ) {
    let object = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path)))
    let trace = try #require(object as? [String: Any])
    let events = try #require(trace["traceEvents"] as? [[String: Any]])
    var names: [Int: String] = [:]
    var spans: [Span] = []
    for event in events {
      let rank = try #require(event["pid"] as? Int)
      let arguments = event["args"] as? [String: Any] ?? [:]
      switch event["ph"] as? String {
      case "M": if event["name"] as? String == "process_name" { names[rank] = arguments["name"] as? String }
      case "X":
        spans.append(
          Span(
            name: try #require(event["name"] as? String), category: try #require(event["cat"] as? String),
            rank: rank, thread: try #require(event["tid"] as? Int),
            begin: try #require((event["ts"] as? NSNumber)?.doubleValue),
            duration: try #require((event["dur"] as? NSNumber)?.doubleValue), arguments: arguments))
      default: Issue.record("unknown event \(event)")
      }
    }
    return (spans, names, try #require(trace["otherData"] as? [String: Any]))
  }

  /// On one thread two spans lie one within the other or apart.
  private static func requireNesting(_ spans: [Span]) {
    for (_, ofThread) in Dictionary(grouping: spans, by: { [$0.rank, $0.thread] }) {
      var open: [Span] = []
      // Equal beginnings: the longer one contains the other.
      for span in ofThread.sorted(by: { ($0.begin, -$0.duration) < ($1.begin, -$1.duration) }) {
        while let last = open.last, last.end <= span.begin + 0.0015 { open.removeLast() }
        if let last = open.last {
          // Times are rounded to nanoseconds.
          #expect(span.end <= last.end + 0.0025, "\(span) overlaps \(last)")
        }
        open.append(span)
      }
    }
  }

  private static func count(_ spans: [Span], _ category: String, rank: Int) -> Int {
    spans.filter { $0.category == category && $0.rank == rank }.count
  }

  @Test(
    "every rank shows its passes, reductions and waits on one axis",
    .enabled(if: MPIRun.launcher != nil && Communicators.supportsMPI, "no MPI"),
    arguments: [(1, "automatic"), (2, "automatic"), (2, "plain"), (3, "automatic"), (3, "plain")])
  func ranks(count: Int, path: String) throws {
    try Program.withFolder { folder in
      let file = folder + "/trace.json"
      let run = try Program.run(
        ranks: count,
        Program.training(
          folder + "/run", "--steps", "7", "--checkpoint-every", "3", "--reduction", path, "--trace", file,
          "--trace-steps", "2..4"))
      #expect(run.exitCode == 0, "\(run.stderr)")
      #expect(run.stderr.contains(" spans: \(file)"), "\(run.stderr)")
      let (spans, names, other) = try Self.read(file)
      #expect(names.count == count && names[count - 1]?.hasPrefix("rank \(count - 1) on ") == true)
      let accuracies = try #require(other["clock_accuracy_us"] as? [NSNumber]).map(\.doubleValue)
      #expect(accuracies.count == count && accuracies[0] == 0)
      #expect(spans.allSatisfy { $0.begin >= 0 && $0.duration >= 0 })
      Self.requireNesting(spans)
      let layers = Set(spans.filter { $0.category == "forward" }.map(\.name)).count
      #expect(layers > 10)
      for rank in 0..<count {
        let steps = spans.filter { $0.rank == rank && $0.name == "update" }
        #expect(steps.compactMap { $0.arguments["step"] as? Int } == [2, 3, 4])
        #expect(Self.count(spans, "forward", rank: rank) == 3 * layers)
        #expect(Self.count(spans, "backward", rank: rank) >= 3 * layers)
        #expect(spans.contains { $0.rank == rank && $0.name == "wait for images" })
        #expect(spans.filter { $0.rank == rank && $0.name == "checkpoint" }.count == 1)
        let reductions = spans.filter { $0.rank == rank && $0.category == "reduce" }
        if count == 1 {
          #expect(reductions.isEmpty)
        } else {
          #expect(reductions.filter { $0.name == "bucket 1" && $0.thread == 1 }.count == 3)
          // The step's totals and its guard, and statistics of filters.
          #expect(reductions.filter { $0.name.hasSuffix("Double") }.count >= 3 * 3)
          #expect(reductions.allSatisfy { ($0.thread == 2) == $0.name.hasSuffix(" Double") })
          #expect(Self.count(spans, "wait", rank: rank) > 3)
        }
      }
      // In an all-reduce nobody is through before all have come; true on one axis only.
      let accuracy = (accuracies.max() ?? 0) + 1
      let meetings = Dictionary(grouping: spans.filter { $0.category == "reduce" }) {
        [$0.thread, $0.arguments["ticket"] as? Int ?? 0]
      }
      for meeting in meetings.values {
        guard let operation = meeting.first?.arguments["operation"] as? String,
          operation.hasPrefix("allReduce")
        else { continue }
        #expect(meeting.count == count)
        #expect(meeting.map(\.begin).max()! <= meeting.map(\.end).min()! + 2 * accuracy)
      }
    }
  }

  @Test(
    "rounding to bfloat16 is shown within its bucket",
    .enabled(if: MPIRun.launcher != nil && Communicators.supportsMPI, "no MPI"))
  func packing() throws {
    try Program.withFolder { folder in
      let file = folder + "/trace.json"
      let run = try Program.run(
        ranks: 2,
        [
          "bench", "--batch-size", "4", "--image-size", "16", "--classes", "3", "--steps", "3", "--threads",
          "1",
          "--reduction", "plain", "--gradient-exchange", "bfloat16", "--trace", file,
        ])
      #expect(run.exitCode == 0, "\(run.stderr)")
      let spans = try Self.read(file).spans
      let buckets = spans.filter { $0.category == "reduce" && $0.name.hasPrefix("bucket ") }
      #expect(!buckets.isEmpty)
      for bucket in buckets {
        let parts = spans.filter {
          $0.category == "part" && $0.rank == bucket.rank && $0.begin >= bucket.begin
            && $0.end <= bucket.end + 0.002
        }
        #expect(Set(parts.map(\.name)) == ["pack", "exchange", "unpack"])
      }
    }
  }

  @Test("a run that a signal stops before the last traced step writes what it has")
  func stopped() throws {
    try Program.withFolder { folder in
      let run = folder + "/run"
      let process = try Program.start(
        Program.training(
          run, "--epochs", "100000", "--validate-every", "1000", "--trace", folder + "/trace.json",
          "--trace-steps", "2..1000000"))
      try #require(process.wait { ((try? Program.losses(run).count) ?? 0) >= 4 }, "\(process.wait().stderr)")
      process.signal(SIGTERM)
      let outcome = process.wait()
      #expect(outcome.exitCode == 85, "\(outcome.stderr)")
      let steps = try Program.losses(run).count
      let updates = try Self.read(folder + "/trace.json").spans.filter { $0.name == "update" }
      let traced = updates.compactMap { $0.arguments["step"] as? Int }
      #expect(traced.first == 2)
      // All of them, unless there was no room for so many.
      #expect(traced.count == steps - 1 || outcome.stderr.contains("had no room"))
    }
  }

  @Test("a trace that cannot be written is told and ends nothing; one that was not reached too")
  func failures() throws {
    try Program.withFolder { folder in
      let run = try Program.run(
        Program.training(
          folder + "/a", "--steps", "3", "--trace", folder + "/none/trace.json", "--trace-steps", "1..2"))
      #expect(
        run.exitCode == 0 && run.stderr.contains("warning: the trace cannot be written"), "\(run.stderr)")
      let short = try Program.run(
        Program.training(
          folder + "/b", "--steps", "2", "--trace", folder + "/trace.json", "--trace-steps", "5..6"))
      #expect(
        short.exitCode == 0 && short.stderr.contains("ended after 2 steps, before step 5"), "\(short.stderr)")
      #expect(!FileManager.default.fileExists(atPath: folder + "/trace.json"))
    }
  }

  @Test("nonsense is refused", arguments: ["5", "5..", "0..3", "6..5", "a..b", "1..2..3"])
  func usage(steps: String) throws {
    let run = try Program.run(["bench", "--trace", "/dev/null", "--trace-steps", steps])
    #expect(run.exitCode == 64 && run.stderr.contains("FIRST..LAST"), "\(run.stderr)")
  }
}
