import Foundation
import Glibc

/// Starts this program again as a child, alone or under mpirun, and passes requests to stop on to it.
struct Launcher {
  /// Where the ranks run and how mpirun is to start them.
  struct Job {
    /// Processes that train together; 1 needs no mpirun.
    var ranks: Int
    /// Hosts and slots; nil: this host, or what a resource manager has allotted.
    var hostfile: String?
    /// The launcher; nil: the one on the PATH.
    var mpirun: String?
    /// More options of mpirun.
    var options: [String] = []
    /// Whether ranks may share cores.
    var isOversubscribed = false
    /// Whether even one rank runs under mpirun.
    var needsMPI = false
    /// What starts the ranks.
    var program = Program.mpirun
    /// Variables of its environment, where the user has not set them.
    var settings: [String: String] = [:]
  }

  /// What starts ranks.
  enum Program: String, Sendable, CaseIterable {
    case mpirun, srun
  }

  private let job: Job
  private let mpirun: String?
  private let executable: String

  /// Nil if there is no mpirun and the job needs it.
  init?(_ job: Job) throws {
    self.job = job
    executable = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let usesMPI = job.ranks > 1 || job.needsMPI
    mpirun = usesMPI ? Self.find(job.mpirun ?? job.program.rawValue) : nil
    if usesMPI && mpirun == nil { return nil }
  }

  /// The command line as a person would type it.
  func description(_ arguments: [String]) -> String {
    (mpirun == nil ? "$ icnn " : "$ mpirun -np \(job.ranks) icnn ") + arguments.joined(separator: " ")
  }

  /// Runs to the end with this process's output; returns the exit code (128 + signal number for a signal).
  ///
  /// SIGTERM and its like to this process ask the child to stop (`StopForwarding`). It has a process group of its own, so
  /// that a terminal's Ctrl-C reaches it once and in that way too.
  func run(_ arguments: [String]) throws -> Int32 {
    let process = try start(arguments)
    process.waitUntilExit()
    return Self.end(of: process)
  }

  /// The same without waiting for the end, which `end(of:)` is to be told.
  func start(_ arguments: [String]) throws -> Process {
    let process = Process()
    if let mpirun {
      set(process, [mpirun] + options + [executable] + arguments)
      process.environment = environment(ProcessInfo.processInfo.environment)
    } else {
      set(process, [executable] + arguments)
    }
    process.standardInput = FileHandle.nullDevice
    StopForwarding.install()
    try process.run()
    StopForwarding.setChild(process.processIdentifier)
    return process
  }

  /// Lets the child run `words`. If this process dies without a word (SIGKILL), the child is asked to stop as by SIGTERM:
  /// ranks that nobody watches would go on writing into the run that another launcher resumes.
  private func set(_ process: Process, _ words: [String]) {
    let withParent = Self.find("setpriv").map { [$0, "--pdeathsig", "TERM"] } ?? []
    process.executableURL = URL(fileURLWithPath: (withParent + words)[0])
    process.arguments = Array((withParent + words).dropFirst())
  }

  /// The exit code of a child that has ended.
  static func end(of process: Process) -> Int32 {
    StopForwarding.setChild(0)
    return process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
  }

  private var options: [String] {
    switch job.program {
    case .mpirun:
      ["-np", String(job.ranks)] + (job.hostfile.map { ["--hostfile", $0] } ?? []) + job.options
    case .srun:
      // Debian's Open MPI speaks PMIx alone; ranks that wait for a lost one are ended by Slurm then.
      ["--mpi=pmix", "--kill-on-bad-exit=1", "--ntasks=\(job.ranks)"] + job.options
    }
  }

  /// What mpirun needs besides, where the user has not said otherwise.
  private func environment(_ own: [String: String]) -> [String: String] {
    var result = own
    func set(_ name: String, _ value: String) { result[name] = own[name] ?? value }
    for (name, value) in job.settings { set(name, value) }
    if job.isOversubscribed { set("OMPI_MCA_rmaps_base_oversubscribe", "1") }
    // One host needs no remote shell; without one mpirun would refuse to start. A resource manager has its own way.
    let hasManager = ["SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"].contains { own[$0] != nil }
    let hasShell = Self.find("ssh") != nil || Self.find("rsh") != nil
    if job.hostfile == nil && !hasManager && !hasShell { set("OMPI_MCA_plm", "isolated") }
    if getuid() == 0 {
      set("OMPI_ALLOW_RUN_AS_ROOT", "1")
      set("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
    }
    return result
  }

  /// A path as it is, a name on the PATH.
  private static func find(_ program: String) -> String? {
    if program.contains("/") { return access(program, X_OK) == 0 ? program : nil }
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin").split(separator: ":")
    return folders.map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
  }
}
