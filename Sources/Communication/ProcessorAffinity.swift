import Glibc

/// Which processors this process may run on.
enum ProcessorAffinity {
  /// Whether this rank's two threads, the one that waits and the one that communicates, have a core each.
  ///
  /// Counts conservatively: where ranks are bound to several cores each, these are taken to be shared by all ranks
  /// of the host. A wrong yes costs far more than a wrong no (docs/adr/0002).
  static func hasSpareCore(localSize: Int) -> Bool {
    guard let status = readStatus(), let processors = processorCount(inStatus: status) else { return false }
    return processors / 2 >= localSize
  }

  /// Bits of the mask in the line `Cpus_allowed:\tff,ffffffff` of /proc/self/status; nil if there is no such line.
  static func processorCount(inStatus status: String) -> Int? {
    guard
      let line = status.split(separator: "\n").first(where: { $0.hasPrefix("Cpus_allowed:") })
    else { return nil }
    let digits = line.dropFirst("Cpus_allowed:".count).compactMap { $0.hexDigitValue }
    return digits.isEmpty ? nil : digits.map(\.nonzeroBitCount).reduce(0, +)
  }

  private static func readStatus() -> String? {
    guard let file = fopen("/proc/self/status", "r") else { return nil }
    defer { fclose(file) }
    let bytes = [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
      count = fread(buffer.baseAddress, 1, buffer.count, file)
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
