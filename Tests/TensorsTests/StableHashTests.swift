import Tensors
import Testing

@Suite struct StableHashTests {
  @Test(
    "published FNV-1a values",
    arguments: [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)])
  func published(text: String, hash: UInt64) {
    #expect(StableHash.of(text) == hash)
  }
}
