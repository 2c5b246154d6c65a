import Foundation
import TestSupport

/// The executable as a user runs it, on a data set drawn once.
enum Program {
  static let executable = ProcessRun.product("icnn")

  /// 4 categories of 10 images of 32 pixels.
  static let data: String = {
    let path = NSTemporaryDirectory() + "icnn-distributed-tests-\(ProcessInfo.processInfo.processIdentifier)"
    let made = try! run([
      "data", "synthesize", "--output", path, "--categories", "4", "--images-per-category", "10",
      "--image-size", "32",
    ])
    precondition(made.exitCode == 0, made.stderr)
    return path
  }()

  static func run(_ arguments: [String], environment: [String: String] = [:]) throws -> ProcessRun.Outcome {
    try start(arguments, environment: environment).wait()
  }

  static func start(_ arguments: [String], environment: [String: String] = [:]) throws -> ProcessRun {
    try ProcessRun(
      executable, arguments, environment: MPIRun.cleanEnvironment.merging(environment) { $1 },
      timeoutSeconds: 120)
  }

  static func run(ranks: Int, _ arguments: [String]) throws -> ProcessRun.Outcome {
    try start(ranks: ranks, arguments).wait()
  }

  static func start(ranks: Int, _ arguments: [String]) throws -> ProcessRun {
    ranks == 1
      ? try start(arguments)
      : try MPIRun.start(np: ranks, executable: executable, arguments: arguments, timeoutSeconds: 120)
  }

  /// `icnn train` on the small data set: 32 training images in batches of 7, the last of 4.
  static func training(_ output: String, data: String? = nil, _ more: String...) -> [String] {
    [
      "train", "--data", data ?? Self.data, "--output", output, "--image-size", "16", "--batch-size", "7",
      "--threads", "1", "--learning-rate", "0.01", "--schedule", "constant",
    ] + more
  }

  /// Values of one field in the log's events of one kind.
  static func metrics(_ run: String, _ field: String, of event: String = "step") throws -> [Any] {
    try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8).split(separator: "\n").compactMap {
      let line = try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
      return line?["event"] as? String == event ? line?[field] : nil
    }
  }

  static func losses(_ run: String) throws -> [Double] {
    try metrics(run, "loss").compactMap { $0 as? Double }
  }

  static func checkpoints(_ run: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: run + "/checkpoints")) ?? [])
      .filter { $0.hasPrefix("step-") }.sorted()
  }

  /// The steps after which the run's checkpoints were written, in order.
  static func checkpointSteps(_ run: String) -> [Int] {
    checkpoints(run).compactMap { Int($0.dropFirst("step-".count)) }
  }

  /// The bytes of a file of the newest checkpoint.
  static func newest(_ run: String, _ file: String = "model.safetensors") throws -> Data {
    let name = checkpoints(run).last ?? "none"
    return try Data(contentsOf: URL(fileURLWithPath: run + "/checkpoints/" + name + "/" + file))
  }

  /// A new folder that is removed after `body`.
  static func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    let path = NSTemporaryDirectory() + "icnn-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try body(path)
  }
}
