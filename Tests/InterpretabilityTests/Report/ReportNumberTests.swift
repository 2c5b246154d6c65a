import Testing

@testable import Interpretability

@Suite("Numbers of a report") struct ReportNumberTests {
  @Test(
    "text of numbers of every size",
    arguments: [
      (0, "0.000"), (0.25, "0.250"), (-1.5, "−1.500"), (12.3456, "12.346"), (1234.5, "1234"),
      (0.000012, "1.20e-05"),
      (12_345_678, "1.23e+07"),
    ] as [(Double, String)])
  func text(_ value: Double, _ text: String) {
    #expect(ReportNumber.value(value).text == text)
  }

  @Test("what is not finite is missing, with a reason")
  func missing() {
    for value in [Double.nan, .infinity, -.infinity] {
      #expect(ReportNumber(value, or: "why") == .missing(reason: "why"))
      #expect(ReportNumber.value(value).text == "–" && ReportNumber.value(value).finite == nil)
      #expect(!ReportNumber.value(value).reason.isEmpty && ReportNumber.value(value).sortKey.isEmpty)
    }
    #expect(ReportNumber(nil, or: "why").percent == "–")
    #expect(ReportNumber(0.5, or: "why").percent == "50.0 %")
  }
}
