import Foundation
import Glibc

/// Starts this program again as a child, alone or under mpirun on this host.
struct Launcher {
  private let ranks: Int
  private let mpirun: String?
  private let executable: String

  /// Nil if more than one rank is wanted and there is no mpirun.
  init?(ranks: Int) throws {
    self.ranks = ranks
    executable = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin").split(separator: ":")
    mpirun = folders.map { $0 + "/mpirun" }.first { access($0, X_OK) == 0 }
    if ranks > 1 && mpirun == nil { return nil }
  }

  /// The command line as a person would type it.
  func description(_ arguments: [String]) -> String {
    (ranks > 1 ? "$ mpirun -np \(ranks) icnn " : "$ icnn ") + arguments.joined(separator: " ")
  }

  /// Runs to the end with this process's output; returns the exit code (128 + signal number for a signal).
  func run(_ arguments: [String]) throws -> Int32 {
    let process = Process()
    var environment = ProcessInfo.processInfo.environment
    if ranks > 1, let mpirun {
      process.executableURL = URL(fileURLWithPath: mpirun)
      process.arguments = ["-np", String(ranks), executable] + arguments
      environment["OMPI_MCA_rmaps_base_oversubscribe"] = "1"
      // One host needs no remote shell; without one mpirun would refuse to start.
      environment["OMPI_MCA_plm"] = environment["OMPI_MCA_plm"] ?? "isolated"
      if getuid() == 0 {
        environment["OMPI_ALLOW_RUN_AS_ROOT"] = "1"
        environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1"
      }
    } else {
      process.executableURL = URL(fileURLWithPath: executable)
      process.arguments = arguments
    }
    process.environment = environment
    try process.run()
    process.waitUntilExit()
    return process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
  }
}
