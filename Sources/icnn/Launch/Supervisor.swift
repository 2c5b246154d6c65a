import Foundation
import Glibc
import Training

/// Keeps a job going: starts it on the hosts that answer, watches it, and starts it again from its newest checkpoint.
final class Supervisor {
  /// What a user may choose.
  struct Settings {
    /// Ranks, if all hosts answer.
    var ranks = 1
    /// Fewer are not started.
    var minRanks = 1
    /// Restarts in a row without a new checkpoint.
    var maxRestarts = 0
    /// Seconds without a sign of progress after which a job is ended; 0: never.
    var progressTimeout = 0
    /// Seconds between two looks for hosts that are back while fewer ranks run; 0: only between attempts.
    var growInterval = 0
    /// The hostfile.
    var hostfile: String?
    /// Asks them; nil: all hosts are taken to be there.
    var probe: HostProbe?
  }

  /// Seconds that mpirun has to end its ranks, once it is told to, before everything is killed.
  private static let endSeconds = 10.0
  /// Seconds that daemons and ranks have to notice that mpirun has died.
  private static let settleSeconds = 4.0

  private let settings: Settings
  private let hosts: Hostfile?
  private let job: Launcher.Job
  private let command: [String]
  /// The run folder; nil for commands that have none, whose progress is not known.
  private let run: String?
  private let log: LaunchLog
  private var policy: RestartPolicy
  /// Whether any attempt has begun from or written a checkpoint: from then on nobody begins anew.
  private var hasSeenCheckpoint = false

  /// - Parameters:
  ///   - job: how ranks are started; their number and hosts are the supervisor's.
  ///   - command: what runs on the ranks.
  init(
    _ settings: Settings, _ job: Launcher.Job, command: [String], run: String?, _ log: LaunchLog
  ) throws(ExitError) {
    self.settings = settings
    self.job = job
    self.command = command
    self.run = run
    self.log = log
    hosts = try settings.hostfile.map { path throws(ExitError) in try Hostfile(path: path) }
    policy = RestartPolicy(maxRestarts: settings.maxRestarts)
  }

  /// Runs until the job is done, is stopped, cannot be helped or is given up.
  func supervise() throws -> JobEnd {
    StopForwarding.install()
    var attempt = 1
    while true {
      let before = run.map { RunProgress($0) }
      let end = try self.attempt(attempt, from: before)
      let after = run.map { RunProgress($0) }
      if [before, after].contains(where: { $0?.checkpointStep != nil }) { hasSeenCheckpoint = true }
      if end.code == 0 || StopForwarding.signalNumber != nil { return end }
      if end == .growing {
        attempt += 1
        continue
      }
      let progressed = after?.checkpointStep != before?.checkpointStep
      switch policy.decide(end.retry, progressed: progressed) {
      case .end:
        return end
      case .giveUp:
        log.line("giving up: \(settings.maxRestarts) restarts without a new checkpoint")
        return end
      case .restart(let seconds):
        log.line(
          "restart \(policy.restartsWithoutProgress) of \(settings.maxRestarts) without progress, in \(seconds) s, from "
            + (after?.description ?? "the beginning"))
        StopForwarding.sleep(seconds: seconds)
      }
      if let number = StopForwarding.signalNumber {
        return .stopped(by: number, hasCheckpoint: after?.checkpointStep != nil)
      }
      attempt += 1
    }
  }

  // MARK: one attempt

  private func attempt(_ number: Int, from progress: RunProgress?) throws -> JobEnd {
    guard let place = choosePlace() else {
      return .unreachable(settings.minRanks)
    }
    defer { if let file = place.temporaryFile { unlink(file) } }
    var job = job
    job.ranks = place.ranks
    job.hostfile = place.hostfile
    if job.program == .srun && hosts != nil {
      job.options = ["--nodelist=" + place.names.joined(separator: ",")] + job.options
    }
    guard let launcher = try Launcher(job) else {
      throw ExitError(
        code: 78,
        "no \(job.program.rawValue) – \(job.mpirun ?? "not on the PATH") – apt install openmpi-bin, or give --mpirun"
      )
    }
    var command = command
    if number > 1 && (hasSeenCheckpoint || progress?.hasBegun == true) {
      // A disk that has vanished must not begin the run anew.
      let options = ["--resume"] + (hasSeenCheckpoint ? ["--require-checkpoint"] : [])
      command += options.filter { !command.contains($0) }
    }
    log.line(
      "start \(number): \(place.ranks) rank\(place.ranks == 1 ? "" : "s")"
        + (hosts == nil ? "" : " on \(place.names.joined(separator: ", "))")
        + (progress.map { ", from \($0.description)" } ?? ""))
    let began = ContinuousClock.now
    let process = try launcher.start(command)
    var tree = ProcessTree(root: process.processIdentifier)
    let verdict = watch(process, &tree, place)
    let code = Launcher.end(of: process)
    let killed = tree.end(after: code == 0 || code == 85 ? 1 : Self.settleSeconds)
    let end = verdict ?? JobEnd(launcherCode: code, stopSignal: StopForwarding.signalNumber)
    let seconds = Int((ContinuousClock.now - began) / .seconds(1))
    let reached = run.map { ", newest checkpoint: \(RunProgress($0).description)" } ?? ""
    log.line(
      "end \(number): code \(end.code) after \(seconds) s\(reached)"
        + (end.explanation.map { ": \($0)" } ?? "")
        + (killed > 0 ? "; killed \(killed) process\(killed == 1 ? "" : "es") left over" : ""))
    return end
  }

  /// Returns when the job has ended; why, if it was this process that ended it.
  private func watch(_ process: Process, _ tree: inout ProcessTree, _ place: Place) -> JobEnd? {
    var seen = run.map { RunProgress($0) }
    var lastProgress = ContinuousClock.now
    var lastLook = ContinuousClock.now
    var lastProbe = ContinuousClock.now
    var isGrowing = false
    tree.look()
    while process.isRunning {
      usleep(50_000)
      let now = ContinuousClock.now
      guard now - lastLook >= .milliseconds(500) else { continue }
      lastLook = now
      tree.look()
      if let run, settings.progressTimeout > 0 {
        let progress = RunProgress(run)
        if progress != seen { (seen, lastProgress) = (progress, now) }
        if now - lastProgress >= .seconds(settings.progressTimeout) {
          log.line(
            "no progress for \(settings.progressTimeout) s: ending \(process.processIdentifier) and what it started"
          )
          terminate(process, &tree)
          return .stalled(seconds: settings.progressTimeout)
        }
      }
      if !isGrowing && place.ranks < settings.ranks && settings.growInterval > 0
        && now - lastProbe >= .seconds(settings.growInterval)
      {
        lastProbe = now
        if let more = choosePlace(), more.ranks > place.ranks {
          if let file = more.temporaryFile { unlink(file) }
          log.line("hosts are back: stopping after a checkpoint, to go on with \(more.ranks) ranks")
          kill(process.processIdentifier, SIGUSR1)
          isGrowing = true
        }
      }
    }
    return isGrowing && process.terminationReason == .exit && process.terminationStatus == 85
      && StopForwarding.signalNumber == nil ? .growing : nil
  }

  /// SIGTERM to mpirun, which ends its ranks; then SIGKILL to it and everything that it has started.
  private func terminate(_ process: Process, _ tree: inout ProcessTree) {
    kill(process.processIdentifier, SIGTERM)
    let deadline = ContinuousClock.now + .seconds(Self.endSeconds)
    while process.isRunning && ContinuousClock.now < deadline { usleep(50_000) }
    guard process.isRunning else { return }
    tree.look()
    log.line("it has not ended after \(Int(Self.endSeconds)) s: killing all of it")
    kill(-process.processIdentifier, SIGKILL)
    kill(process.processIdentifier, SIGKILL)
    _ = tree.end(after: 0)
    process.waitUntilExit()
  }

  // MARK: hosts

  /// Where ranks are started.
  private struct Place {
    var ranks: Int
    var names: [String]
    var hostfile: String?
    /// Removed after the attempt.
    var temporaryFile: String?
  }

  /// The ranks and hosts of the next attempt; nil if too few hosts answer.
  private func choosePlace() -> Place? {
    guard let hosts else {
      return Place(ranks: settings.ranks, names: [], hostfile: nil)
    }
    let names = hosts.hosts.map(\.name)
    let answering = settings.probe?.answering(names) ?? Set(names)
    let alive = hosts.hosts.filter { answering.contains($0.name) }
    let missing = names.filter { !answering.contains($0) }
    if !missing.isEmpty { log.line("no answer from \(missing.joined(separator: ", "))") }
    let ranks = hosts.ranks(on: alive, wanted: settings.ranks)
    guard ranks >= settings.minRanks, !alive.isEmpty else { return nil }
    var file: String?
    if !missing.isEmpty {
      let path = NSTemporaryDirectory() + "icnn-hostfile-\(getpid())"
      let text = alive.map { $0.line + "\n" }.joined()
      guard (try? text.write(toFile: path, atomically: true, encoding: .utf8)) != nil else { return nil }
      file = path
    }
    return Place(
      ranks: ranks, names: alive.map(\.name), hostfile: file ?? settings.hostfile, temporaryFile: file)
  }
}
