import ArgumentParser
import Communication
import Foundation
import Glibc
import Training

extension Launcher.Program: ExpressibleByArgument {}

/// `icnn launch`.
struct LaunchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "launch",
    abstract:
      "Run train, evaluate or bench on several ranks, and keep training going whatever becomes of them.",
    discussion: """
      icnn launch --np 4 --hostfile hostfile --min-ranks 2 -- train --data DIR --output RUN

      A training that loses a rank, a host or a connection, or that stalls, is started again from its newest valid \
      checkpoint: on the hosts that answer, with a growing pause, and not for ever (--max-restarts). Wrong usage, bad \
      data and numerical breakdowns are not tried again.

      SIGTERM, SIGINT (Ctrl-C), SIGHUP, SIGUSR1 or SIGUSR2 to `icnn launch` let training finish its step and write a \
      checkpoint on all hosts; the code is 85. A second SIGTERM, SIGINT or SIGHUP ends everything at once. mpirun's \
      own exit codes become those of icnn: 75 for a rank or a host that was lost. docs/Faults.md says more.
      """)

  @Option(help: ArgumentHelp("Ranks.", valueName: "n")) var np: Int
  @Option(help: ArgumentHelp("Hosts, a line each: NAME slots=N. (default: this host)", valueName: "file"))
  var hostfile: String?
  @Option(help: ArgumentHelp("Go on with as few, if hosts are gone. (default: all)", valueName: "n"))
  var minRanks: Int?
  @Option(
    help: ArgumentHelp(
      "Restarts without a new checkpoint before it gives up. (default: 3 for train, 0 for others)",
      valueName: "k"))
  var maxRestarts: Int?
  @Option(
    help: ArgumentHelp(
      "Training: seconds without a step, validation or checkpoint after which it is ended and started again; 0: never.",
      valueName: "seconds"))
  var progressTimeout = 1800
  @Option(
    help: ArgumentHelp(
      "Asks a host, whose name is put behind it, whether it can be used; 'none': do not ask. (default: mpirun's remote shell)",
      valueName: "command"))
  var probe: String?
  @Option(help: ArgumentHelp("Time a host has to answer.", valueName: "seconds")) var probeTimeout = 10
  @Option(
    help: ArgumentHelp(
      "While hosts are missing: how often to look whether they are back; 0: only at restarts.",
      valueName: "seconds"))
  var growInterval = 60
  @Option(help: "mpirun or srun (inside a Slurm allocation).") var launcher = Launcher.Program.mpirun
  @Option(help: ArgumentHelp("mpirun or srun to use. (default: the one on the PATH)", valueName: "path"))
  var mpirun: String?
  @Option(
    name: [.customLong("launcher-options"), .customLong("mpirun-options")], parsing: .unconditional,
    help: ArgumentHelp(
      "More options of mpirun or srun, in one argument: --launcher-options \"--bind-to none\".",
      valueName: "options"))
  var launcherOptions = ""
  @Option(help: ArgumentHelp("Append what the launcher tells to a file too.", valueName: "file"))
  var log: String?
  @Argument(parsing: .postTerminator, help: ArgumentHelp("After --: train …", valueName: "command"))
  var command: [String] = []

  func validate() throws {
    guard np >= 1 else { throw ValidationError("--np takes 1 or more") }
    guard let name = command.first else {
      throw ValidationError("what to run is missing: icnn launch --np \(np) -- train …")
    }
    guard ["train", "evaluate", "bench"].contains(name) else {
      throw ValidationError("'\(name)' does not run on ranks: train, evaluate and bench do")
    }
    guard (1...np).contains(minRanks ?? np) else { throw ValidationError("--min-ranks takes 1 to \(np)") }
    guard (maxRestarts ?? 0) >= 0 else { throw ValidationError("--max-restarts takes 0 or more") }
    guard progressTimeout >= 0 && growInterval >= 0 && probeTimeout >= 1 else {
      throw ValidationError(
        "--progress-timeout and --grow-interval take 0 or more, --probe-timeout 1 or more")
    }
  }

  func run() throws {
    // Wrong usage is told once and at once, not by every rank.
    let parsed = try ICNN.parseAsRoot(command) as? TrainCommand
    guard LaunchEnvironment.current.launcher == .none else {
      throw ExitError(
        code: 64,
        "`icnn launch` starts ranks itself – it was started by \(LaunchEnvironment.current.launcher) – "
          + "start it alone")
    }
    guard Communicators.supportsMPI else {
      throw ExitError(code: 78, "icnn was built without MPI – rebuild it with libopenmpi-dev installed")
    }
    // Ranks know better than this process who is missing: they must come first.
    if let stall = parsed?.stall.stallTimeout, progressTimeout > 0, Double(progressTimeout) <= stall {
      throw ExitError(
        code: 64,
        "--progress-timeout \(progressTimeout) would end the job before its ranks can say who is missing – "
          + "--stall-timeout \(Int(stall)) – give more")
    }
    let supervisor = try Supervisor(
      settings(isTraining: parsed != nil), job, command: command, run: parsed?.output, LaunchLog(path: log))
    let end = try supervisor.supervise()
    if let explanation = end.explanation { throw ExitError(code: end.code, explanation) }
    throw ExitCode(end.code)
  }

  private func settings(isTraining: Bool) -> Supervisor.Settings {
    var settings = Supervisor.Settings()
    settings.ranks = np
    settings.minRanks = minRanks ?? np
    settings.maxRestarts = maxRestarts ?? (isTraining ? 3 : 0)
    settings.progressTimeout = progressTimeout
    settings.growInterval = growInterval
    settings.hostfile = hostfile
    if hostfile != nil && probe != "none" && (probe != nil || launcher == .mpirun) {
      settings.probe = HostProbe(
        command: probe ?? HostProbe.remoteShell(ProcessInfo.processInfo.environment),
        timeoutSeconds: Double(probeTimeout))
    }
    return settings
  }

  private var job: Launcher.Job {
    var job = Launcher.Job(ranks: np, hostfile: hostfile, mpirun: mpirun, needsMPI: true)
    job.options = launcherOptions.split(separator: " ").map(String.init)
    job.program = launcher
    job.settings = LaunchSettings.openMPI(options: job.options)
    return job
  }
}
