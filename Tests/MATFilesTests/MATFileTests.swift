import Foundation
import Testing

@testable import MATFiles

/// Files of both formats, written by libmatio in a helper of this test.
@Suite struct MATFileTests {
  @Test(arguments: MATFixture.Format.allCases) func everyKindOfValueIsRead(_ format: MATFixture.Format) throws
  {
    let fixture = try MATFixture(format)
    let file = try MATFile(fixture.path)
    let root = try file.read("root")
    #expect(root.fieldNames == ["count", "size", "mask", "name", "nothing", "list", "cells", "small"])
    #expect(try root.field("count").number() == 7)
    let size = try root.field("size").numbers()
    #expect(size.extents == [2, 3] && size.doubles == [1, 2, 3, 4, 5, 6.5])
    #expect(size.floats == [1, 2, 3, 4, 5, 6.5])
    let mask = try root.field("mask").numbers()
    #expect(mask == MATNumbers(extents: [2, 2], storage: .logical([1, 0, 0, 1])))
    #expect(try root.field("name").text() == "n02084071_100360")
    #expect(try root.field("nothing").isEmpty && root.field("nothing").text() == "")
    let list = try root.field("list").elements()
    #expect(list.map(\.place) == ["root.list(1)", "root.list(2)"])
    #expect(try list.map { try $0.field("id").number() } == [11, 12])
    let cells = try root.field("cells").elements()
    #expect(try cells[0].number() == 5 && cells[1].text() == "cell")
    #expect(try root.field("small").numbers().doubles == [-3, 200])
    #expect(try root.field("small").numbers().extents == [1, 2])
  }

  @Test(arguments: MATFixture.Format.allCases) func whatIsNotAsExpectedIsNamed(_ format: MATFixture.Format)
    throws
  {
    let fixture = try MATFixture(format)
    let root = try MATFile(fixture.path).read("root")
    let absent = matError { _ = try root.field("list").elements()[1].field("name") }
    #expect(absent?.exitCode == 65)
    #expect(
      absent?.description.contains(
        "root.list(2) (expected a struct with the field name, found struct 1x2 (id))")
        == true)
    let notText = matError { _ = try root.field("size").text() }
    #expect(notText?.description.contains("root.size (expected a text, found double 2x3)") == true)
    let notOne = matError { _ = try root.field("list").field("id") }
    #expect(notOne?.description.contains("expected one struct") == true)
    let noVariable = matError { _ = try MATFile(fixture.path).read("absent") }
    #expect(noVariable == .noVariable(path: fixture.path, name: "absent", found: ["root"]))
  }

  @Test func filesThatAreNoneAreRefusedByTheirHeader() throws {
    let fixture = try MATFixture(.version5)
    func error(_ bytes: [UInt8]) throws -> MATFileError? {
      let path = fixture.folder + "/other.mat"
      try Data(bytes).write(to: URL(fileURLWithPath: path))
      return matError { _ = try MATFile(path) }
    }
    #expect(matError { _ = try MATFile("/nowhere/x.mat") } == .missing(path: "/nowhere/x.mat"))
    #expect(matError { _ = try MATFile(fixture.folder) }?.exitCode == 66)
    #expect(try error([])?.description.contains("an empty file") == true)
    #expect(try error(Array("MATLAB".utf8))?.description.contains("only 6 bytes") == true)
    #expect(
      try error(Array("version https://git-lfs.github.com/spec/v1".utf8))?.description.contains("LFS") == true
    )
    #expect(try error([UInt8](repeating: 0x20, count: 500))?.description.contains("no header") == true)
    var later = fixture.bytes
    later[125] = 3
    #expect(try error(later)?.description.contains("version 3.0") == true)
  }

  /// Cut short anywhere, a file is refused or, where only padding is gone, read.
  @Test(arguments: MATFixture.Format.allCases) func filesCutShortAreRefused(_ format: MATFixture.Format)
    throws
  {
    let fixture = try MATFixture(format)
    let path = fixture.folder + "/short.mat"
    var tried = 0
    var refused = 0
    for length in stride(from: 128, to: fixture.bytes.count, by: max(1, fixture.bytes.count / 24)) {
      try Data(fixture.bytes.prefix(length)).write(to: URL(fileURLWithPath: path))
      tried += 1
      if let error = matError({ _ = try MATFile(path, leastSeconds: 1).read("root") }) {
        refused += 1
        #expect(error.exitCode == 65 && error.description.contains(path))
      }
    }
    #expect(tried > 10 && refused >= (format == .version73 ? tried * 3 / 4 : tried))
  }

  /// Bytes are changed at random, by a seed. Whatever happens to libmatio, this process gets a value or a typed error, nothing
  /// is printed by libraries, no child is left. ICNN_FUZZ_INPUTS asks for more than the usual number.
  @Test(arguments: MATFixture.Format.allCases) func damagedFilesDoNoHarm(_ format: MATFixture.Format) throws {
    let fixture = try MATFixture(format)
    let count = ProcessInfo.processInfo.environment["ICNN_FUZZ_INPUTS"].flatMap(Int.init) ?? 100
    var random = Mutator(seed: 20261125)
    var errors: [String: Int] = [:]
    for number in 0..<count {
      let path = fixture.folder + "/damaged.mat"
      try Data(random.mutated(fixture.bytes)).write(to: URL(fileURLWithPath: path))
      let error = matError { _ = try MATFile(path, leastSeconds: 1).read("root") }
      if let error { #expect(error.exitCode == 65, "input \(number): \(error)") }
      errors[Mutator.kind(error), default: 0] += 1
    }
    #expect(errors.values.reduce(0, +) == count && errors.count > 1, "\(errors)")
    if count > 100 { print("\(format):", errors.sorted { $0.value > $1.value }) }
  }

  @Test func manyThreadsReadAtOnce() async throws {
    let fixture = try MATFixture(.version73)
    let path = fixture.path
    let expected = try MATFile(path).read("root").value
    let values = try await withThrowingTaskGroup(of: MATValue.self) { group in
      for _ in 0..<24 { group.addTask { try MATFile(path).read("root").value } }
      return try await group.reduce(into: [MATValue]()) { $0.append($1) }
    }
    #expect(values.count == 24 && values.allSatisfy { $0 == expected })
  }
}

/// Runs `body` and returns the `MATFileError` it throws, if it throws one.
private func matError(_ body: () throws -> Void) -> MATFileError? {
  do {
    try body()
    return nil
  } catch { return error as? MATFileError }
}
