import Testing

@testable import Training

@Suite("CRC-32C") struct CRC32CTests {
  @Test(
    "golden values of RFC 3720, appendix B.4, and of the usual check string",
    arguments: [
      ([UInt8](repeating: 0, count: 32), 0x8a91_36aa), ([UInt8](repeating: 0xff, count: 32), 0x62a8_ab43),
      ([UInt8](0..<32), 0x46dd_794e), ([UInt8]((0..<32).reversed()), 0x113f_db5c),
      ([UInt8]("123456789".utf8), 0xe306_9283), ([], 0),
    ] as [([UInt8], UInt32)])
  func golden(_ bytes: [UInt8], _ checksum: UInt32) {
    #expect(CRC32C.checksum(bytes) == checksum)
  }

  @Test("the mask of a TFRecord")
  func mask() {
    // ((c >> 15) | (c << 17)) + 0xa282ead8 for c = 0xe3069283, as the tensorboard package computes it.
    #expect(CRC32C.masked("123456789".utf8) == 0xc78a_b0e5)
    // The masked checksum of a length field of 24, as at the start of every event file that TensorFlow writes.
    #expect(CRC32C.masked([24, 0, 0, 0, 0, 0, 0, 0]) == 0x224b_7fa3)
  }
}
