import Glibc

/// Mends OpenBLAS's choice of kernels on processors it does not know.
///
/// An OpenBLAS that is older than the processor takes kernels of twenty years ago (Debian's 0.3.21 on recent Intel
/// servers: "Prescott", SSE3) and runs at a fraction of its speed. The choice is made while the library is loaded and
/// obeys only the environment variable OPENBLAS_CORETYPE; so a program that finds it wrong must set that variable and
/// execute itself anew.
public enum BLASCoreType {
  /// What `reexecuteIfNeeded` found or did; its description is a line for the log.
  public enum Outcome: Equatable, Sendable, CustomStringConvertible {
    /// OpenBLAS chose well, or as well as can be told.
    case suitable(core: String)
    /// The user's own OPENBLAS_CORETYPE is left alone.
    case chosenByUser(core: String)
    /// The program was executed anew with another core type, which is now in use.
    case corrected(from: String, core: String)
    /// The program was executed anew, or could not be (with the error of the system), and the choice still is poor.
    case notCorrected(core: String, wanted: String, reason: String)

    /// One line that names the core type and why it is in use.
    public var description: String {
      switch self {
      case .suitable(let core): return "OpenBLAS core \(core)"
      case .chosenByUser(let core): return "OpenBLAS core \(core), by the user's OPENBLAS_CORETYPE"
      case .corrected(let from, let core):
        return "OpenBLAS core \(core), set by OPENBLAS_CORETYPE because OpenBLAS took \(from) for this CPU"
      case .notCorrected(let core, let wanted, let reason):
        return
          "OpenBLAS core \(core) is slow on this CPU and could not be changed to \(wanted) (\(reason)) – "
          + "set OPENBLAS_CORETYPE=\(wanted) in the environment"
      }
    }
  }

  /// The variable that OpenBLAS reads.
  static let coreVariable = "OPENBLAS_CORETYPE"
  /// Set by the first execution for the second: the core type that OpenBLAS had chosen. While it is set nothing is
  /// executed anew.
  static let guardVariable = "ICNN_BLAS_CORE_WAS"

  /// The value OPENBLAS_CORETYPE should have, or nil where OpenBLAS's own choice is right or cannot be judged.
  ///
  /// A choice is wrong if its kernels use narrower vectors than the processor has. Names this table does not know
  /// (newer versions of OpenBLAS) are trusted.
  public static func correction(for cpu: CPUFeatures, chosenCore: String) -> String? {
    let available = cpu.hasAVX512 ? 3 : cpu.hasAVX2 ? 2 : 1
    let chosen: Int
    switch chosenCore.lowercased() {
    case "skylakex", "cooperlake", "sapphirerapids": chosen = 3
    case "haswell", "zen": chosen = 2
    case "unknown", "katmai", "coppermine", "northwood", "prescott", "banias", "atom", "core2", "penryn",
      "dunnington", "nehalem", "athlon", "opteron", "opteron_sse3", "barcelona", "nano", "sandybridge",
      "bobcat", "bulldozer", "piledriver", "steamroller", "excavator":
      chosen = 1
    default: return nil
    }
    // AMD's family 21 has AVX2 in halves of 128 bits; its own kernels are the right ones.
    let isBulldozer = cpu.vendor == "AuthenticAMD" && cpu.family == 21
    guard chosen < available && !isBulldozer else { return nil }
    if cpu.hasAVX512 { return "SkylakeX" }
    return cpu.vendor == "AuthenticAMD" || cpu.vendor == "HygonGenuine" ? "Zen" : "Haswell"
  }

  /// Executes the program anew with the right OPENBLAS_CORETYPE if OpenBLAS chose badly; otherwise, and in the second
  /// execution, says what is in use. At most one new execution; the user's own setting wins.
  ///
  /// Call it as the first thing in a process that computes, before MPI and threads start: nothing of the process but
  /// its arguments, environment and open files survives.
  ///
  /// - Parameters:
  ///   - cpu: the processor, for tests.
  ///   - chosenCore: OpenBLAS's choice, for tests.
  public static func reexecuteIfNeeded(
    cpu: CPUFeatures = .current, chosenCore: String = CPU.blasCore
  ) -> Outcome {
    if let original = environment(guardVariable) {
      let core = CPU.blasCore
      guard let wanted = correction(for: cpu, chosenCore: core) else {
        return .corrected(from: original, core: core)
      }
      return .notCorrected(core: core, wanted: wanted, reason: "it did not obey \(coreVariable)")
    }
    if environment(coreVariable) != nil { return .chosenByUser(core: chosenCore) }
    guard let wanted = correction(for: cpu, chosenCore: chosenCore) else {
      return .suitable(core: chosenCore)
    }
    guard CPU.blasConfiguration.contains("DYNAMIC_ARCH") else {
      return .notCorrected(core: chosenCore, wanted: wanted, reason: "it was built for one core type")
    }
    setenv(coreVariable, wanted, 1)
    setenv(guardVariable, chosenCore, 1)
    // By its own name: the kernel names a process after the file it executes, and "exe" is nothing that pgrep, pkill
    // or ps could find. The link still works where that name does not, for instance after the file was replaced.
    if let path = executablePath { execv(path, CommandLine.unsafeArgv) }
    execv("/proc/self/exe", CommandLine.unsafeArgv)
    // Only a failed execv returns.
    let reason = String(cString: strerror(errno))
    unsetenv(coreVariable)
    unsetenv(guardVariable)
    return .notCorrected(core: chosenCore, wanted: wanted, reason: "execv: \(reason)")
  }

  /// Where this program's file lies, links resolved; nil without /proc.
  private static var executablePath: String? {
    var path = [CChar](repeating: 0, count: Int(PATH_MAX))
    let length = readlink("/proc/self/exe", &path, path.count - 1)
    return length > 0
      ? String(decoding: path.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
  }

  private static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}
