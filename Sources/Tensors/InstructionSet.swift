import CKernels

/// Which bodies of the kernels run. The best that the CPU has is chosen at the first call; the environment variable
/// ICNN_ISA names another.
public enum InstructionSet: Int, CaseIterable, Sendable, CustomStringConvertible {
  /// Plain loops, the oracle of the others.
  case reference
  /// Vector bodies for the compiler's baseline.
  case portable
  /// AVX2 with FMA.
  case avx2
  /// AVX-512 F, VL, DQ and BW.
  case avx512

  private var code: ck_isa_t { ck_isa_t(UInt32(rawValue)) }

  /// Those that this CPU can run, from the slowest.
  public static var available: [InstructionSet] { allCases.filter { ck_isa_available($0.code) != 0 } }

  /// The one in use by the calling thread.
  public static var current: InstructionSet { InstructionSet(rawValue: Int(ck_isa().rawValue))! }

  /// Runs this one from now on in the calling thread and the loops it starts; traps if the CPU does not have it. For tests
  /// and comparisons.
  public func select() {
    precondition(ck_isa_select(code) == 0, "InstructionSet: this CPU cannot run \(self)")
  }

  /// "reference", "portable", "avx2" or "avx512".
  public var description: String { String(cString: ck_isa_name(code)) }
}
