import Foundation

/// A child process with a time limit whose output is kept in files, so that no pipe can fill up and block it.
///
///     let run = try ProcessRun(URL(fileURLWithPath: "/bin/sleep"), ["60"], timeoutSeconds: 10)
///     run.signal(SIGTERM)
///     #expect(run.wait().exitCode == 128 + SIGTERM)
public final class ProcessRun: @unchecked Sendable {
  /// What is left of a process.
  public struct Outcome: Sendable {
    /// The exit code, or 128 + n after signal n, as a shell would report it.
    public let exitCode: Int32
    /// Everything written to standard output.
    public let stdout: String
    /// Everything written to standard error.
    public let stderr: String
    /// Whether it was killed because its time was over.
    public let timedOut: Bool
  }

  private let process = Process()
  private let ended = DispatchSemaphore(value: 0)
  private let folder: URL
  private let deadline: DispatchTime

  /// Starts `executable`. `environment` is the whole environment of the child. After `timeoutSeconds` `wait` kills
  /// it. Throws when it cannot be started.
  public init(
    _ executable: URL, _ arguments: [String] = [],
    environment: [String: String] = ProcessInfo.processInfo.environment, timeoutSeconds: Double = 60
  ) throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("run-\(UUID().uuidString)")
    deadline = .now() + timeoutSeconds
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    process.executableURL = executable
    process.arguments = arguments
    process.environment = environment
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try Self.create(folder.appendingPathComponent("stdout"))
    process.standardError = try Self.create(folder.appendingPathComponent("stderr"))
    process.terminationHandler = { [ended] _ in ended.signal() }
    // Tests run on threads that block all signals, and a child inherits the mask of the thread that starts it.
    var none = sigset_t()
    var previous = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &previous)
    defer { pthread_sigmask(SIG_SETMASK, &previous, nil) }
    try process.run()
  }

  deinit {
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    try? FileManager.default.removeItem(at: folder)
  }

  /// The child's process identifier.
  public var processIdentifier: Int32 { process.processIdentifier }

  /// What the child has written to standard output so far.
  public var stdoutSoFar: String { read("stdout") }

  /// Sends a signal to the child alone.
  public func signal(_ number: Int32) { kill(process.processIdentifier, number) }

  /// Waits until `condition` holds. False when the child ends or its time is over first.
  public func wait(until condition: () throws -> Bool) rethrows -> Bool {
    while true {
      // Asked before the condition: what a child did last must not be missed because it has ended since.
      let isRunning = process.isRunning && DispatchTime.now() < deadline
      if try condition() { return true }
      guard isRunning else { return false }
      usleep(10_000)
    }
  }

  /// Waits until `text` stands in the child's standard output. False when the child ends or its time is over first.
  public func waitForOutput(containing text: String) -> Bool { wait { stdoutSoFar.contains(text) } }

  /// The child's children, their children and so on that run `executable`, whatever the kernel calls them.
  public func descendants(running executable: URL) -> [Int32] {
    let file = executable.resolvingSymlinksInPath().path
    var parents: [Int32: Int32] = [:]
    for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
      guard let process = Int32(name),
        let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8),
        let line = status.split(separator: "\n").first(where: { $0.hasPrefix("PPid:") })
      else { continue }
      parents[process] = Int32(line.split(separator: "\t")[1])
    }
    return parents.keys.sorted().filter { process in
      var ancestor = parents[process]
      while let next = ancestor, next != processIdentifier { ancestor = parents[next] }
      return ancestor != nil
        && (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/exe")) == file
    }
  }

  /// Waits for the end, if need be by SIGKILL when the time is over. Once.
  public func wait() -> Outcome {
    var timedOut = false
    if ended.wait(timeout: deadline) == .timedOut {
      timedOut = true
      kill(process.processIdentifier, SIGKILL)
      ended.wait()
    }
    let status = process.terminationStatus
    return Outcome(
      exitCode: process.terminationReason == .uncaughtSignal ? 128 + status : status,
      stdout: read("stdout"), stderr: read("stderr"), timedOut: timedOut)
  }

  /// An executable of this package, beside the running test bundle.
  public static func product(_ name: String) -> URL {
    URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
      .appendingPathComponent(name)
  }

  private func read(_ name: String) -> String {
    let data = (try? Data(contentsOf: folder.appendingPathComponent(name))) ?? Data()
    return String(decoding: data, as: UTF8.self)
  }

  private static func create(_ file: URL) throws -> FileHandle {
    try Data().write(to: file)
    return try FileHandle(forWritingTo: file)
  }
}
