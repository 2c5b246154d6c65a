/// What a processor calls itself and can do, as far as the choice of kernels depends on it.
public struct CPUFeatures: Equatable, Sendable {
  /// "GenuineIntel", "AuthenticAMD", …; empty where unknown.
  public var vendor: String
  /// Family, base and extended added up, as /proc/cpuinfo has it; 0 where unknown.
  public var family: Int
  /// Marketing name ("Intel(R) Xeon(R) …"); empty where unknown.
  public var modelName: String
  /// AVX2 with FMA.
  public var hasAVX2: Bool
  /// AVX-512 F, CD, VL, DQ and BW: the set of Skylake servers.
  public var hasAVX512: Bool

  /// A processor of those properties.
  public init(vendor: String, family: Int, modelName: String = "", hasAVX2: Bool, hasAVX512: Bool) {
    self.vendor = vendor
    self.family = family
    self.modelName = modelName
    self.hasAVX2 = hasAVX2
    self.hasAVX512 = hasAVX512
  }

  /// Reads the first processor of a text in the format of /proc/cpuinfo, whose flags are those that the operating
  /// system lets programs use.
  public init(cpuinfo: String) {
    var fields: [Substring: Substring] = [:]
    for line in cpuinfo.split(separator: "\n", omittingEmptySubsequences: false) {
      guard let colon = line.firstIndex(of: ":") else {
        if fields.isEmpty { continue }
        break
      }
      fields[line[..<colon].trimmed] = line[line.index(after: colon)...].trimmed
    }
    let flags = Set((fields["flags"] ?? "").split(separator: " "))
    self.init(
      vendor: String(fields["vendor_id"] ?? ""), family: fields["cpu family"].flatMap { Int($0) } ?? 0,
      modelName: String(fields["model name"] ?? ""), hasAVX2: flags.isSuperset(of: ["avx2", "fma"]),
      hasAVX512: flags.isSuperset(of: ["avx512f", "avx512cd", "avx512vl", "avx512dq", "avx512bw"]))
  }

  /// The processor that this program runs on.
  public static let current = CPUFeatures(cpuinfo: SystemFile.read("/proc/cpuinfo") ?? "")
}

extension Substring {
  /// Without spaces and tabs at both ends.
  var trimmed: Substring {
    let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
    guard let last = lastIndex(where: { !isBlank($0) }) else { return self[endIndex...] }
    return self[...last].drop(while: isBlank)
  }
}
