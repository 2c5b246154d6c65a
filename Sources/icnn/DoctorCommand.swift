import ArgumentParser
import Communication
import Foundation
import Tensors
import Training

/// `icnn doctor`.
struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "CPU, BLAS, threads, MPI, memory: what there is, and what would be slow and why.")

  @Flag(help: "Print JSON.") var json = false

  func run() throws {
    CPU.configure()
    let diagnosis = Diagnosis()
    if json { return try printJSON(diagnosis) }
    let width = diagnosis.facts.map(\.name.count).max() ?? 0
    for fact in diagnosis.facts {
      print(fact.name + String(repeating: " ", count: width + 2 - fact.name.count) + fact.value)
    }
    print(diagnosis.warnings.isEmpty ? "\nNothing here would be slow." : "")
    for warning in diagnosis.warnings { print("! " + warning) }
  }
}

/// The facts, and what follows from them.
struct Diagnosis: Encodable {
  struct Fact: Encodable {
    let name: String
    let value: String
  }

  var facts: [Fact] = []
  var warnings: [String] = []

  init() {
    add("icnn", Version.current)
    processor()
    blas()
    mpi()
    memory()
  }

  private mutating func add(_ name: String, _ value: String) { facts.append(Fact(name: name, value: value)) }

  private mutating func processor() {
    add("CPU", CPU.modelName)
    let sets = InstructionSet.available.map(\.description).joined(separator: ", ")
    add("instruction set", "\(InstructionSet.current) (available: \(sets))")
    add("cores", "\(CPU.allowedCount) may be used of \(ProcessInfo.processInfo.processorCount)")
    if let best = InstructionSet.available.last, best != InstructionSet.current {
      warnings.append("ICNN_ISA selects \(InstructionSet.current); this CPU has \(best), which is faster")
    }
    if let best = InstructionSet.available.last, best == .portable {
      warnings.append("no AVX2: the portable kernels are several times slower")
    }
    if let quota = CPU.quota { add("CPU quota", "\(quota.fixed(1)) cores (container)") }
    if CPU.allowedCount < ProcessInfo.processInfo.processorCount {
      warnings.append(
        "only \(CPU.allowedCount) of \(ProcessInfo.processInfo.processorCount) cores may be used (affinity or "
          + "container limit); mpirun binds ranks to cores, see --bind-to")
    }
  }

  private mutating func blas() {
    add("OpenBLAS", CPU.blasConfiguration)
    add("OpenBLAS core", ICNN.blasCore.description)
    if case .notCorrected = ICNN.blasCore { warnings.append(ICNN.blasCore.description) }
    add("sgemm, one core", "\(Self.gemmSpeed().fixed(0)) GFLOP/s")
  }

  /// GFLOP/s of a product of 512×512 matrices, the best of five.
  private static func gemmSpeed() -> Double {
    let n = 512
    let a = AlignedBuffer<Float>(count: n * n)
    let b = AlignedBuffer<Float>(count: n * n)
    let c = AlignedBuffer<Float>(count: n * n)
    var best = Double.infinity
    for _ in 0..<5 {
      let began = ContinuousClock.now
      gemm(
        m: n, n: n, k: n, MatrixView(a.pointer, rowStride: n), MatrixView(b.pointer, rowStride: n), beta: 0,
        into: c.pointer, rowStride: n)
      best = min(best, (ContinuousClock.now - began).inSeconds)
    }
    return 2 * Double(n * n * n) / best * 1e-9
  }

  private mutating func mpi() {
    let launch = LaunchEnvironment.current
    add("launched by", "\(launch.launcher)")
    add("MPI", Communicators.supportsMPI ? "built in" : "not built in")
    if !Communicators.supportsMPI {
      warnings.append("built without MPI: one process only; rebuild with libopenmpi-dev for clusters")
    }
    sharedMemory()
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    let candidates: [String] = folders.map { "\($0)/mpirun" }
    if let mpirun = candidates.first(where: { FileManager.default.isExecutableFile(atPath: $0) }) {
      add("mpirun", mpirun)
    } else {
      add("mpirun", "not found")
      warnings.append("no mpirun: apt install openmpi-bin (one process works without)")
    }
  }

  /// Room for the window in which ranks of a node add up their gradients.
  private mutating func sharedMemory() {
    guard Communicators.supportsMPI else { return }
    let folder = SharedMemoryFolder.current
    let free = folder.freeBytes.map { Double($0) / 1e9 }
    add(
      "shared window",
      free.map { "\(folder.path), \($0.fixed(1)) GB free" } ?? "none: \(folder.path) is unfit")
    // vgg16's values, velocities and gradients of two ranks.
    if (free ?? 0) < 2.3 {
      warnings.append(
        "less than 2.3 GB are free in \(folder.path): ranks of large networks add up gradients by all-reduce, not in a "
          + "shared window (containers: --shm-size)")
    }
  }

  private mutating func memory() {
    guard let text = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8) else { return }
    for line in text.split(separator: "\n")
    where line.hasPrefix("MemTotal:") || line.hasPrefix("MemAvailable:") {
      let parts = line.split(separator: " ")
      guard parts.count > 1, let kilobytes = Double(parts[1]) else { continue }
      add(parts[0].dropLast().description, "\((kilobytes / 1e6).fixed(1)) GB")
      if line.hasPrefix("MemAvailable:") && kilobytes < 4e6 {
        warnings.append("less than 4 GB of memory are free: vgg16 will not fit")
      }
    }
    if let huge = try? String(contentsOfFile: "/sys/kernel/mm/transparent_hugepage/enabled", encoding: .utf8)
    {
      add("huge pages", huge.trimmingCharacters(in: .whitespacesAndNewlines))
    }
  }
}
