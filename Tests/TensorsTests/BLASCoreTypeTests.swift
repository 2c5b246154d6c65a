import Foundation
import Testing

@testable import Tensors

@Suite struct BLASCoreTypeTests {
  /// A processor, OpenBLAS's choice, and the right OPENBLAS_CORETYPE (nil: leave it).
  struct Choice: CustomTestStringConvertible, Sendable {
    var name: String
    var cpu: CPUFeatures
    var chosen: String
    var correction: String?

    init(
      _ name: String, _ vendor: String, _ family: Int, _ vectors: Int, _ chosen: String, _ correction: String?
    ) {
      self.name = name
      cpu = CPUFeatures(vendor: vendor, family: family, hasAVX2: vectors >= 256, hasAVX512: vectors >= 512)
      self.chosen = chosen
      self.correction = correction
    }

    var testDescription: String { "\(name) with \(chosen)" }
  }

  static let table = [
    Choice("Emerald Rapids", "GenuineIntel", 6, 512, "Prescott", "SkylakeX"),
    Choice("Sapphire Rapids", "GenuineIntel", 6, 512, "Nehalem", "SkylakeX"),
    Choice("Ice Lake server", "GenuineIntel", 6, 512, "Haswell", "SkylakeX"),
    Choice("Ice Lake server", "GenuineIntel", 6, 512, "Sandybridge", "SkylakeX"),
    Choice("Ice Lake server", "GenuineIntel", 6, 512, "SkylakeX", nil),
    Choice("Cooper Lake", "GenuineIntel", 6, 512, "Cooperlake", nil),
    Choice("Sapphire Rapids", "GenuineIntel", 6, 512, "SapphireRapids", nil),
    Choice("Granite Rapids, newer library", "GenuineIntel", 6, 512, "GraniteRapids", nil),
    Choice("Alder Lake", "GenuineIntel", 6, 256, "Prescott", "Haswell"),
    Choice("Alder Lake", "GenuineIntel", 6, 256, "haswell", nil),
    Choice("Broadwell", "GenuineIntel", 6, 256, "Haswell", nil),
    Choice("Knights Landing", "GenuineIntel", 6, 256, "Haswell", nil),
    Choice("Ivy Bridge", "GenuineIntel", 6, 128, "Sandybridge", nil),
    Choice("Pentium 4", "GenuineIntel", 15, 128, "Prescott", nil),
    Choice("Zen 2", "AuthenticAMD", 23, 256, "Zen", nil),
    Choice("Zen 2", "AuthenticAMD", 23, 256, "Haswell", nil),
    Choice("Zen 3", "AuthenticAMD", 25, 256, "Barcelona", "Zen"),
    Choice("Zen 4", "AuthenticAMD", 25, 512, "Zen", "SkylakeX"),
    Choice("Zen 4", "AuthenticAMD", 25, 512, "Cooperlake", nil),
    Choice("Zen 5", "AuthenticAMD", 26, 512, "Prescott", "SkylakeX"),
    Choice("Excavator", "AuthenticAMD", 21, 256, "Excavator", nil),
    Choice("Dhyana", "HygonGenuine", 24, 256, "Prescott", "Zen"),
    Choice("a machine without these vectors", "", 0, 128, "armv8", nil),
  ]

  @Test("only choices that waste vector width are corrected", arguments: table)
  func correction(_ choice: Choice) {
    #expect(BLASCoreType.correction(for: choice.cpu, chosenCore: choice.chosen) == choice.correction)
  }

  /// Runs the probe beside the test program and returns the fields that it prints.
  private func probe(_ arguments: [String], environment: [String: String]) throws -> [String: String] {
    let products = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      .deletingLastPathComponent()
    let process = Process()
    process.executableURL = products.appendingPathComponent("BLASCoreProbe")
    process.arguments = arguments
    var all = ProcessInfo.processInfo.environment
    all[BLASCoreType.coreVariable] = nil
    all[BLASCoreType.guardVariable] = nil
    process.environment = all.merging(environment) { $1 }
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationReason == .exit && process.terminationStatus == 0, "\(text)")
    return Dictionary(
      text.split(separator: "\n").map { line in
        let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        return (String(parts[0]), String(parts[1]))
      }, uniquingKeysWith: { $0 + "; again: " + $1 })
  }

  @Test("executes the program anew, once, with its arguments", .enabled(if: CPUFeatures.current.hasAVX2))
  func reexecution() throws {
    let wanted = try #require(BLASCoreType.correction(for: .current, chosenCore: "Prescott"))
    let found = try probe(["Prescott", "two words", ""], environment: [:])
    #expect(found["core"] == wanted)
    #expect(found["variable"] == wanted)
    #expect(found["arguments"] == "Prescott two words ")
    // Linux keeps 15 bytes of a process's name; people find and signal a program by it.
    #expect(found["name"] == "BLASCoreProbe")
    #expect(
      found["outcome"]
        == BLASCoreType.Outcome.corrected(from: "Prescott", core: wanted).description)
  }

  @Test(
    "a second execution that is still poor is reported, not repeated",
    .enabled(if: CPUFeatures.current.hasAVX2))
  func noLoop() throws {
    let wanted = try #require(BLASCoreType.correction(for: .current, chosenCore: "Nehalem"))
    let found = try probe(
      ["-"], environment: [BLASCoreType.coreVariable: "Nehalem", BLASCoreType.guardVariable: "Prescott"])
    #expect(found["core"] == "Nehalem" && found["variable"] == "Nehalem")
    #expect(found["outcome"]?.hasPrefix("OpenBLAS core Nehalem is slow") == true)
    #expect(found["outcome"]?.hasSuffix("set OPENBLAS_CORETYPE=\(wanted) in the environment") == true)
  }

  @Test("the user's own setting is left alone", .enabled(if: CPUFeatures.current.hasAVX2))
  func userChoice() throws {
    let found = try probe(["-"], environment: [BLASCoreType.coreVariable: "Nehalem"])
    #expect(found["core"] == "Nehalem" && found["variable"] == "Nehalem")
    #expect(found["outcome"] == BLASCoreType.Outcome.chosenByUser(core: "Nehalem").description)
  }

  @Test("a suitable choice changes nothing")
  func suitable() throws {
    let found = try probe(["SapphireRapids"], environment: [:])
    #expect(found["variable"] == "unset")
    #expect(found["outcome"] == BLASCoreType.Outcome.suitable(core: "SapphireRapids").description)
  }
}
