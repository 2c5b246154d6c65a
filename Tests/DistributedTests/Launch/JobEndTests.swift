import Glibc
import Testing

@testable import icnn

@Suite("JobEnd") struct JobEndTests {
  @Test(
    "codes of ranks that ended in good order are kept",
    arguments: [0, 64, 65, 66, 70, 74, 75, 78, 85] as [Int32])
  func kept(code: Int32) {
    for signal in [nil, SIGTERM] {
      let end = JobEnd(launcherCode: code, stopSignal: signal)
      #expect(end.code == code && end.explanation == nil)
    }
  }

  @Test(
    "mpirun's own codes become documented ones",
    arguments: [
      (137, 75, .always), (139, 75, .always), (134, 75, .always), (143, 75, .always), (205, 75, .always),
      (255, 75, .always), (110, 75, .always), (132, 70, .afterProgress), (133, 70, .afterProgress),
      (1, 78, .afterProgress), (243, 78, .never), (3, 70, .never),
    ] as [(Int32, Int32, JobEnd.Retry)])
  func translated(launcherCode: Int32, code: Int32, retry: JobEnd.Retry) {
    let end = JobEnd(launcherCode: launcherCode)
    #expect(end.code == code && end.retry == retry)
    #expect(end.explanation?.contains("mpirun: \(launcherCode)") == true)
  }

  @Test(
    "only a lost peer and a full disk are tried again", arguments: [0, 64, 65, 66, 70, 78, 85] as [Int32])
  func neverAgain(code: Int32) {
    #expect(JobEnd(launcherCode: code).retry == .never)
    #expect(JobEnd(launcherCode: 75).retry == .always)
    #expect(JobEnd(launcherCode: 74).retry == .afterProgress)
    #expect(JobEnd(launcherCode: 137, stopSignal: SIGTERM).retry == .never)
  }

  @Test("after a request to stop everything else is its doing")
  func stopped() {
    #expect(JobEnd(launcherCode: 1, stopSignal: SIGTERM).code == 143)
    #expect(JobEnd(launcherCode: 138, stopSignal: SIGINT).code == 130)
  }
}
