import ArgumentParser
import Communication
import Foundation
import Glibc
import Training

/// `icnn launch`.
struct LaunchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "launch",
    abstract: "Run train, evaluate or bench on several ranks: mpirun, with signals and exit codes put right.",
    discussion: """
      icnn launch --np 4 --hostfile hostfile -- train --data DIR --output RUN

      SIGTERM, SIGINT (Ctrl-C), SIGHUP, SIGUSR1 or SIGUSR2 to `icnn launch` let training finish its step and write a \
      checkpoint on all hosts; the code is 85. A second SIGTERM, SIGINT or SIGHUP ends everything at once. mpirun's \
      own exit codes become those of icnn: 75 for a rank or a host that was lost.
      """)

  @Option(help: ArgumentHelp("Ranks.", valueName: "n")) var np: Int
  @Option(help: ArgumentHelp("Hosts, a line each: NAME slots=N. (default: this host)", valueName: "file"))
  var hostfile: String?
  @Option(help: ArgumentHelp("mpirun to use. (default: the one on the PATH)", valueName: "path"))
  var mpirun: String?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "More options of mpirun, in one argument: --mpirun-options \"--bind-to none\".", valueName: "options"))
  var mpirunOptions = ""
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
  }

  func run() throws {
    // Wrong usage is told once and at once, not by every rank.
    _ = try ICNN.parseAsRoot(command)
    guard LaunchEnvironment.current.launcher == .none else {
      throw ExitError(
        code: 64,
        "`icnn launch` runs mpirun itself – it was started by \(LaunchEnvironment.current.launcher) – "
          + "start it alone")
    }
    guard Communicators.supportsMPI else {
      throw ExitError(code: 78, "icnn was built without MPI – rebuild it with libopenmpi-dev installed")
    }
    if let hostfile, access(hostfile, R_OK) != 0 {
      throw ExitError(code: 66, "the hostfile cannot be read – \(hostfile) – see hostfile.example")
    }
    let job = Launcher.Job(
      ranks: np, hostfile: hostfile, mpirun: mpirun,
      options: mpirunOptions.split(separator: " ").map(String.init), needsMPI: true)
    guard let launcher = try Launcher(job) else {
      throw ExitError(
        code: 78, "no mpirun – \(mpirun ?? "not on the PATH") – apt install openmpi-bin, or give --mpirun")
    }
    let end = JobEnd(launcherCode: try launcher.run(command), stopSignal: StopForwarding.signalNumber)
    if let explanation = end.explanation { throw ExitError(code: end.code, explanation) }
    throw ExitCode(end.code)
  }
}
