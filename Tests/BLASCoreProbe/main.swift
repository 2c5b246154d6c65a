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
