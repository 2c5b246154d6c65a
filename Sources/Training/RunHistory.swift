import Foundation

/// Who trained a run up to a checkpoint, and for how long: what its `metrics.jsonl` tells.
public struct RunHistory: Encodable, Sendable, Equatable {
  /// One start of the program.
  public struct Start: Codable, Sendable, Equatable {
    /// Version of the program.
    public let version: String
    /// Ranks, threads of each, and the instruction set of the first.
    public let ranks: Int, threads: Int
    /// As `icnn doctor` names it.
    public let isa: String
    /// Optimiser steps that had been done.
    public let step: Int
  }

  /// In the order of their steps; what was done again after a resume counts as the later process did it.
  public private(set) var starts: [Start] = []
  /// Wall time of the optimiser steps, validations and checkpoints left out.
  public private(set) var seconds = 0.0

  private struct Step: Decodable {
    let step: Int
    let seconds: Double?
  }

  private struct Event: Decodable { let event: String }

  /// Reads the log of a checkpoint's run; nil if there is none, as of a checkpoint that was moved.
  ///
  /// - Parameter checkpoint: a directory in RUN/checkpoints.
  public init?(checkpoint: String, step: Int) {
    let run = URL(fileURLWithPath: checkpoint).deletingLastPathComponent().deletingLastPathComponent()
    guard let log = try? Data(contentsOf: run.appendingPathComponent("metrics.jsonl")) else { return nil }
    self.init(lines: log.split(separator: UInt8(ascii: "\n")), step: step)
  }

  /// Lines that are no events, left by a full disk, are passed over.
  init(lines: [Data], step last: Int) {
    let decoder = JSONDecoder()
    var steps: [(step: Int, seconds: Double)] = []
    for line in lines {
      switch try? decoder.decode(Event.self, from: line).event {
      case "start":
        guard let start = try? decoder.decode(Start.self, from: line) else { continue }
        starts.removeAll { $0.step >= start.step }
        steps.removeAll { $0.step > start.step }
        starts.append(start)
      case "step":
        guard let step = try? decoder.decode(Step.self, from: line) else { continue }
        steps.append((step.step, step.seconds ?? 0))
      default: continue
      }
    }
    starts.removeAll { $0.step >= last && last > 0 }
    seconds = steps.reduce(0) { $1.step <= last ? $0 + $1.seconds : $0 }
  }
}
