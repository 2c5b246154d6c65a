import Communication
import Foundation
import TestSupport
import Testing

private let probe = ProcessRun.product("CommunicationProbe")

/// How the ranks of one run add up.
struct WindowCase: Sendable, CustomTestStringConvertible {
  let ranks: Int
  var path = "window"
  var exchange = "float32"
  var nodeLimit: Int?
  let route: String

  var testDescription: String { "\(ranks) ranks, \(path), \(exchange), nodes of \(nodeLimit ?? ranks)" }

  func run(_ mode: String, environment: [String: String] = [:]) throws -> ProcessRun.Outcome {
    var variables = ["PROBE_REDUCTION": path, "PROBE_EXCHANGE": exchange]
    if let nodeLimit { variables["PROBE_NODE_LIMIT"] = String(nodeLimit) }
    return try MPIRun.run(
      np: ranks, executable: probe, arguments: [mode], environment: variables.merging(environment) { $1 })
  }

  /// Every path, on 1 to 4 ranks; with nodes of two ranks, and with a full and a partly filled node.
  static let all: [WindowCase] = {
    var cases: [WindowCase] = []
    for exchange in ["float32", "bfloat16"] {
      for ranks in 1...4 {
        for path in ["window", "plain"] {
          let several = path == "plain" ? "plain all-reduce" : "shared window of \(ranks) ranks"
          let route = ranks == 1 ? "nothing to exchange" : several
          cases.append(WindowCase(ranks: ranks, path: path, exchange: exchange, route: route))
        }
      }
      for (ranks, limit) in [(3, 2), (4, 2), (4, 3)] {
        let route = "shared windows of \(ranks) ranks on 2 nodes"
        cases.append(WindowCase(ranks: ranks, exchange: exchange, nodeLimit: limit, route: route))
      }
    }
    return cases
  }()

  static let lossy = [
    WindowCase(ranks: 3, route: ""), WindowCase(ranks: 3, path: "plain", route: ""),
    WindowCase(ranks: 4, nodeLimit: 2, route: ""),
  ]
}

@Suite(
  .serialized, .enabled(if: MPIRun.launcher != nil, "mpirun is not installed"),
  .enabled(if: Communicators.supportsMPI, "built without MPI"))
struct NodeWindowTests {
  @Test(arguments: WindowCase.all)
  func sumsAreRightAndEqualOnAllRanksAndFromRunToRun(window: WindowCase) throws {
    let first = try window.run("gradients")
    #expect(first.exitCode == 0, "\(first.stderr)")
    #expect(
      first.stdout.hasPrefix("gradients ok ranks=\(window.ranks) route=\(window.route) fingerprint="),
      "\(first.stdout)")
    // Two operands have no order to vary.
    if window.ranks <= 2 { return }
    #expect(try window.run("gradients").stdout == first.stdout)
  }

  @Test func theWindowIsThereWithoutBeingAskedFor() throws {
    let run = try WindowCase(ranks: 2, path: "automatic", route: "").run("gradients")
    #expect(run.stdout.contains("route=shared window of 2 ranks"), "\(run.stdout) \(run.stderr)")
  }

  @Test(arguments: ["/nonexistent", "/sys"])
  func withoutRoomItIsLeftOutUnlessInsistedOn(folder: String) throws {
    let small = ["OMPI_MCA_osc_sm_backing_directory": folder]
    let automatic = try WindowCase(ranks: 2, path: "automatic", route: "").run(
      "gradients", environment: small)
    #expect(automatic.exitCode == 0, "\(automatic.stderr)")
    #expect(automatic.stdout.contains("route=plain all-reduce (\(folder) "), "\(automatic.stdout)")
    let insisted = try WindowCase(ranks: 2, route: "").run("gradients", environment: small)
    #expect(insisted.exitCode == 78)
    #expect(insisted.stderr.contains("gradients cannot be added up in a shared window – \(folder) "))
  }

  @Test func nodesOfOneRankHaveNoWindow() throws {
    let run = try WindowCase(ranks: 3, path: "automatic", nodeLimit: 1, route: "").run("gradients")
    #expect(run.stdout.contains("route=plain all-reduce (no two ranks share a node)"), "\(run.stderr)")
  }

  @Test(arguments: [nil, 2])
  func ranksThatMeanDifferentBucketsEnd(nodeLimit: Int?) throws {
    let run = try WindowCase(ranks: 4, nodeLimit: nodeLimit, route: "").run("different-buckets")
    #expect(run.exitCode == 70)
    #expect(run.stderr.contains("ranks are out of step – rank "), "\(run.stderr)")
  }

  @Test(arguments: WindowCase.lossy)
  func aRankThatIsKilledEndsAllAndLeavesNothing(window: WindowCase) throws {
    let before = windowFiles()
    let run = try window.run("killed-while-summing")
    #expect(run.exitCode == 128 + SIGKILL, "\(run.stderr)")
    #expect(windowFiles().subtracting(before).isEmpty)
  }

  @Test(arguments: WindowCase.lossy)
  func abortEndsAllRanksWhileASumIsBlocked(window: WindowCase) throws {
    let run = try window.run("abort-while-summing")
    #expect(run.exitCode == 70, "\(run.stderr)")
  }

  /// Backing files of windows; a window's is removed as soon as all ranks have it.
  private func windowFiles() -> Set<String> {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/dev/shm")) ?? []
    return Set(names.filter { $0.hasPrefix("osc_sm") })
  }
}
