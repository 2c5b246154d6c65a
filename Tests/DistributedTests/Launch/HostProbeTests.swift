import Foundation
import Testing

@testable import icnn

@Suite("HostProbe") struct HostProbeTests {
  @Test("who answers, in good time, is there; this host is, without being asked")
  func answers() {
    let probe = HostProbe(command: "test good =", timeoutSeconds: 10)
    #expect(probe.answering(["bad", "good", "localhost"]) == ["good", "localhost"])
    let began = ContinuousClock.now
    let slow = HostProbe(command: "sleep 30; echo", timeoutSeconds: 0.5)
    #expect(
      slow.answering(["a", "b", ProcessInfo.processInfo.hostName]) == [ProcessInfo.processInfo.hostName])
    #expect(ContinuousClock.now - began < .seconds(20))
  }

  @Test("without a command of one's own it is mpirun's remote shell")
  func remoteShell() {
    #expect(HostProbe.remoteShell([:]).hasPrefix("ssh -o BatchMode=yes"))
    let agent = HostProbe.remoteShell(["OMPI_MCA_plm_rsh_agent": "test good = : rsh"])
    #expect(HostProbe(command: agent, timeoutSeconds: 10).answering(["good"]) == [])
    let echo = HostProbe.remoteShell(["OMPI_MCA_plm_rsh_agent": "echo"])
    #expect(HostProbe(command: echo, timeoutSeconds: 10).answering(["good"]) == ["good"])
  }
}
