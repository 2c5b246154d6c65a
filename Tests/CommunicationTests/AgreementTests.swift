import Communication
import Testing

@Suite struct AgreementTests {
  private func disagreement(
    ranks: Int, _ fields: @escaping @Sendable (Int) -> [AgreementField]
  ) throws -> String? {
    let errors = try InProcessGroup.run(size: ranks) { communicator -> CommunicationError? in
      do throws(CommunicationError) {
        try communicator.agree(on: fields(communicator.rank))
        return nil
      } catch { return error }
    }
    for error in errors { #expect(error == errors[0]) }
    if let error = errors[0] { #expect(error.exitCode == 78) }
    return errors[0]?.description
  }

  @Test(arguments: 1...4)
  func equalFieldsPass(ranks: Int) throws {
    let message = try disagreement(ranks: ranks) { _ in
      [
        AgreementField("seed", 1), AgreementField("hash", .max), AgreementField("text", ""),
        AgreementField("digest", bytes: [0, 255]),
      ]
    }
    #expect(message == nil)
  }

  @Test func oneRankAloneHasNobodyToDisagreeWith() throws {
    try SingleProcess().agree(on: [AgreementField("seed", 1)])
  }

  @Test(arguments: 0..<3)
  func theDifferingFieldRankAndValuesAreNamed(odd: Int) throws {
    let message = try disagreement(ranks: 3) {
      [AgreementField("seed", 1), AgreementField("batch-size", $0 == odd ? 64 : 32)]
    }
    let expected = [
      "batch-size: rank 0 has `64`, ranks 1-2 have `32`", "batch-size: ranks 0, 2 have `32`, rank 1 has `64`",
      "batch-size: ranks 0-1 have `32`, rank 2 has `64`",
    ]
    #expect(
      message == "ranks disagree – \(expected[odd]) – start all ranks with the same program, options and data"
    )
  }

  @Test func allDifferencesAreNamed() throws {
    let message = try disagreement(ranks: 2) {
      [
        AgreementField("hash", 0xabcd_ef01_2345 + UInt64($0)), AgreementField("unchanged", 7),
        AgreementField("digest", bytes: [9, UInt8($0)]),
      ]
    }
    #expect(
      message?.contains("hash: rank 0 has `0x0000abcdef012345`, rank 1 has `0x0000abcdef012346`; ") == true)
    #expect(message?.contains("; digest: rank 0 has `0900`, rank 1 has `0901` – ") == true)
    #expect(message?.contains("unchanged") == false)
  }

  @Test func longTextsAreShownFromWhereTheyDiffer() throws {
    let common = String(repeating: "a line that is the same\n", count: 50)
    let message = try disagreement(ranks: 2) {
      [AgreementField("configuration", common + "epochs: \($0)\n" + common)]
    }
    #expect(message?.contains("rank 0 has `...") == true)
    #expect(message?.contains("epochs: 0\n") == true)
    #expect(message?.contains("epochs: 1\n") == true)
    #expect((message?.count ?? 0) < 500)
  }

  @Test func differentListsOfFieldsDiffer() throws {
    let message = try disagreement(ranks: 2) {
      $0 == 0 ? [AgreementField("seed", 1)] : [AgreementField("seed", 1), AgreementField("network", "vgg16")]
    }
    #expect(message?.contains("rank 0 compare(s) nothing, rank 1 compare(s) network") == true)
  }
}
