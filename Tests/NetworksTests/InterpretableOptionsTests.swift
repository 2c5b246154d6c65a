import Foundation
import Testing

@testable import Networks

@Suite("interpretable options")
struct InterpretableOptionsTests {
  @Test("options survive encoding", arguments: InterpretableOptions.Formulation.allCases)
  func roundTrip(_ formulation: InterpretableOptions.Formulation) throws {
    var options = InterpretableOptions()
    options.formulation = formulation
    options.filterGradient = .exact
    options.weight = 2.5
    let data = try JSONEncoder().encode(options)
    #expect(try JSONDecoder().decode(InterpretableOptions.self, from: data) == options)
    #expect(String(decoding: data, as: UTF8.self).contains("\"\(formulation.rawValue)\""))
  }

  @Test("names of formulations, and the default weight of each")
  func names() {
    #expect(InterpretableOptions.Formulation(rawValue: "released") == .released(corrected: false))
    #expect(InterpretableOptions.Formulation(rawValue: "corrected") == .released(corrected: true))
    #expect(InterpretableOptions.Formulation(rawValue: "other") == nil)
    var options = InterpretableOptions()
    #expect(options.effectiveWeight == 1)
    options.formulation = .released(corrected: true)
    #expect(options.effectiveWeight == 0.1)
    options.weight = 7
    #expect(options.effectiveWeight == 7)
  }
}
