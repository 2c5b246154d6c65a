import Foundation

/// Runs programs under `mpirun` on this machine, whatever its number of cores.
///
///     let run = try MPIRun.run(np: 2, executable: ProcessRun.product("icnn"), arguments: ["doctor"])
///     #expect(run.exitCode == 0, "\(run.stderr)")
public enum MPIRun {
  /// Open MPI's launcher; nil where it is not installed. Tests that need it are `.enabled(if:)` it is there.
  public static let launcher: URL? = find("mpirun")

  /// Runs to the end and returns exit code (mpirun's) and output (of all ranks).
  public static func run(
    np: Int, executable: URL, arguments: [String] = [], environment: [String: String] = [:],
    timeoutSeconds: Int = 60
  ) throws -> ProcessRun.Outcome {
    try start(
      np: np, executable: executable, arguments: arguments, environment: environment,
      timeoutSeconds: timeoutSeconds
    ).wait()
  }

  /// Starts without waiting, to send signals meanwhile. mpirun ends its ranks after `timeoutSeconds` (code 110).
  public static func start(
    np: Int, executable: URL, arguments: [String] = [], environment: [String: String] = [:],
    timeoutSeconds: Int = 60
  ) throws -> ProcessRun {
    guard let launcher else { throw CocoaError(.fileNoSuchFile, userInfo: [NSFilePathErrorKey: "mpirun"]) }
    var variables = cleanEnvironment.merging(settings) { $1 }
    variables["MPIEXEC_TIMEOUT"] = String(timeoutSeconds)
    variables.merge(environment) { $1 }
    return try ProcessRun(
      launcher, ["-np", String(np), "--oversubscribe", executable.path] + arguments, environment: variables,
      timeoutSeconds: Double(timeoutSeconds) + 15)
  }

  /// What mpirun needs to run several ranks on this machine, whatever it is.
  public static var settings: [String: String] {
    // Ranks share cores in tests: the one that waits must let the others run.
    var variables = ["OMPI_MCA_mpi_yield_when_idle": "1"]
    // Containers often forbid reading another process's memory.
    variables["OMPI_MCA_btl_vader_single_copy_mechanism"] = "none"
    // Without ssh mpirun refuses to start even on one host.
    if find("ssh") == nil { variables["OMPI_MCA_plm"] = "isolated" }
    if geteuid() == 0 {
      variables["OMPI_ALLOW_RUN_AS_ROOT"] = "1"
      variables["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1"
    }
    return variables
  }

  /// This process's environment without what a launcher has set: a nested mpirun would end without a word.
  public static var cleanEnvironment: [String: String] {
    ProcessInfo.processInfo.environment.filter { name, _ in
      !["OMPI_", "PMIX_", "ORTE_", "OPAL_", "PMI_", "PRTE_"].contains { name.hasPrefix($0) }
    }
  }

  private static func find(_ program: String) -> URL? {
    (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
      .map { URL(fileURLWithPath: "\($0)/\(program)") }
      .first { FileManager.default.isExecutableFile(atPath: $0.path) }
  }
}
