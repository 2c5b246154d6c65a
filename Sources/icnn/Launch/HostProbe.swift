import Foundation
import Glibc

/// Asks hosts whether they answer: a command for each, all at once, with a time-out.
struct HostProbe: Sendable {
  /// Run by `/bin/sh`, with the host's name behind it; success means that the host answers.
  let command: String
  let timeoutSeconds: Double

  /// What mpirun would use to reach other hosts, with `true` as the command.
  static func remoteShell(_ environment: [String: String]) -> String {
    let agent = environment["OMPI_MCA_plm_rsh_agent"] ?? environment["OMPI_MCA_orte_rsh_agent"]
    // Open MPI takes the first that is there of a list.
    let first = agent?.split(separator: ":").first.map { $0.trimmingCharacters(in: .whitespaces) }
    return (first ?? "ssh -o BatchMode=yes -o ConnectTimeout=5") + " \"$host\" true #"
  }

  /// Those of `names` that answer, in their order. This host always does.
  func answering(_ names: [String]) -> Set<String> {
    let own = ProcessInfo.processInfo.hostName
    let isLocal = { (name: String) in
      ["localhost", "127.0.0.1", "::1", own].contains(name) || own.hasPrefix(name + ".")
    }
    let children = names.filter { !isLocal($0) }.compactMap { name in start(name).map { (name, $0) } }
    let deadline = ContinuousClock.now + .seconds(timeoutSeconds)
    while ContinuousClock.now < deadline && children.contains(where: \.1.isRunning) { usleep(20_000) }
    var answering = Set(names.filter(isLocal))
    for (name, child) in children {
      if child.isRunning {
        // Its group: a shell that waits for a remote shell would leave that behind.
        kill(-child.processIdentifier, SIGKILL)
        kill(child.processIdentifier, SIGKILL)
        child.waitUntilExit()
      } else if child.terminationReason == .exit && child.terminationStatus == 0 {
        answering.insert(name)
      }
    }
    return answering
  }

  private func start(_ host: String) -> Process? {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", "host=$1; \(command) \"$1\"", "sh", host]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    return (try? process.run()).map { process }
  }
}
