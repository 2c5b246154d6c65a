import Tensors
import Testing

@Suite struct CPUFeaturesTests {
  @Test("reads the first processor of /proc/cpuinfo")
  func parses() {
    let text = """
      processor\t: 0
      vendor_id\t: GenuineIntel
      cpu family\t: 6
      model\t\t: 207
      model name\t: INTEL(R) XEON(R) PLATINUM 8581C CPU @ 2.10GHz
      flags\t\t: fpu sse2 fma avx2 avx512f avx512dq avx512cd avx512bw avx512vl
      bugs\t\t:

      processor\t: 1
      vendor_id\t: AuthenticAMD
      flags\t\t: fpu
      """
    #expect(
      CPUFeatures(cpuinfo: text)
        == CPUFeatures(
          vendor: "GenuineIntel", family: 6, modelName: "INTEL(R) XEON(R) PLATINUM 8581C CPU @ 2.10GHz",
          hasAVX2: true, hasAVX512: true))
  }

  @Test(
    "a set counts only when it is complete",
    arguments: [
      ("avx2", false, false), ("avx2 fma", true, false),
      ("avx2 fma avx512f avx512cd avx512er avx512pf", true, false),
      ("avx2 fma avx512f avx512cd avx512vl avx512dq avx512bw", true, true), ("", false, false),
    ])
  func flags(flags: String, hasAVX2: Bool, hasAVX512: Bool) {
    let features = CPUFeatures(cpuinfo: "vendor_id : AuthenticAMD\nflags : \(flags)\n")
    #expect(features.hasAVX2 == hasAVX2 && features.hasAVX512 == hasAVX512)
  }

  @Test("a text without the fields is a processor without features")
  func unknown() {
    let nothing = CPUFeatures(vendor: "", family: 0, hasAVX2: false, hasAVX512: false)
    #expect(CPUFeatures(cpuinfo: "") == nothing)
    #expect(CPUFeatures(cpuinfo: "processor : 0\nCPU implementer : 0x41\n") == nothing)
  }

  /// Two independent sources: the flags of the operating system and CPUID, which the kernels' dispatch asks.
  @Test("agrees with the kernels' own detection")
  func dispatch() {
    #expect(CPUFeatures.current.hasAVX2 == InstructionSet.available.contains(.avx2))
    #expect(CPUFeatures.current.hasAVX512 == InstructionSet.available.contains(.avx512))
  }
}
