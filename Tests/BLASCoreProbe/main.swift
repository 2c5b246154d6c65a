import Glibc
import Tensors

// A program that mends OpenBLAS's core type as `icnn` does and says what came of it; `BLASCoreTypeTests` runs it.
// Its first argument is the choice of OpenBLAS to pretend, or "-" for the real one.

let pretended = CommandLine.arguments[1]
let outcome =
  pretended == "-"
  ? BLASCoreType.reexecuteIfNeeded() : BLASCoreType.reexecuteIfNeeded(chosenCore: pretended)
print("outcome=\(outcome)")
print("core=\(CPU.blasCore)")
print("variable=\(getenv("OPENBLAS_CORETYPE").map { String(cString: $0) } ?? "unset")")
print("arguments=\(CommandLine.arguments.dropFirst().joined(separator: " "))")
// What the kernel calls this process: what pgrep, pkill and ps find.
let name = fopen("/proc/self/comm", "r").map { file in
  defer { fclose(file) }
  var line = [CChar](repeating: 0, count: 64)
  return fgets(&line, 64, file).map { String(cString: $0) } ?? ""
}
print("name=\(name?.split(separator: "\n").first ?? "unknown")")
