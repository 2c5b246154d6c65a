import Testing

@testable import Training
@testable import icnn

@Suite("Hostfile") struct HostfileTests {
  private static func hosts(_ text: String) throws -> Hostfile { try Hostfile(text: text, path: "file") }

  @Test("comments, options and blank lines")
  func reading() throws {
    let file = try Self.hosts("# all\n\n a slots=2\nb\tmax_slots=4 slots=3 # fast\n10.0.0.7\n")
    #expect(file.hosts.map(\.name) == ["a", "b", "10.0.0.7"])
    #expect(file.hosts.map(\.slots) == [2, 3, nil])
    #expect(file.hosts[1].line == "b\tmax_slots=4 slots=3 # fast")
  }

  @Test(
    "nonsense is told by its line",
    arguments: [("", "names no host"), ("a\nb slots=two", "line 2"), ("a slots=0", "line 1")])
  func nonsense(text: String, words: String) {
    let error = #expect(throws: ExitError.self) { try Self.hosts(text) }
    #expect(error?.code == 64 && error?.description.contains(words) == true, "\(String(describing: error))")
  }

  @Test("ranks have room on the hosts that are left")
  func room() throws {
    let file = try Self.hosts("a slots=2\nb slots=2\nc slots=4")
    #expect(file.ranks(on: file.hosts, wanted: 6) == 6)
    #expect(file.ranks(on: file.hosts, wanted: 16) == 16, "oversubscribed by the user's own wish")
    #expect(file.ranks(on: [file.hosts[0], file.hosts[1]], wanted: 6) == 4)
    #expect(file.ranks(on: [file.hosts[0], file.hosts[2]], wanted: 5) == 5)
    #expect(file.ranks(on: [], wanted: 5) == 0)
    let unknown = try Self.hosts("a\nb\nc slots=4\nd")
    #expect(unknown.ranks(on: Array(unknown.hosts.prefix(3)), wanted: 8) == 6)
    #expect(unknown.ranks(on: Array(unknown.hosts.prefix(1)), wanted: 2) == 1)
  }
}
