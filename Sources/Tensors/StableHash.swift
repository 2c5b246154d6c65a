/// A hash that is the same in every process, on every machine and in every version, unlike Swift's own.
public enum StableHash {
  /// FNV-1a over the UTF-8 bytes (Fowler, Noll, Vo), 64 bits.
  public static func of(_ text: String) -> UInt64 {
    text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
  }
}
