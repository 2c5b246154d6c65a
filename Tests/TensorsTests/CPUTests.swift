import TestSupport
import Testing

@testable import Tensors

@Suite struct CPUTests {
  @Test(
    "affinity lists",
    arguments: [
      ("0-3,8,10-11", 7), ("0", 1), ("5", 1), ("0-127", 128), ("", nil), ("3-1", nil), ("x", nil),
    ] as [(String, Int?)])
  func affinity(list: String, count: Int?) {
    let status = "Name:\ticnn\nCpus_allowed:\tff\nCpus_allowed_list:\t\(list)\nMems_allowed_list:\t0-63\n"
    #expect(CPU.allowedCount(inStatus: status) == count)
  }

  @Test("no affinity line, no count")
  func noAffinity() {
    #expect(CPU.allowedCount(inStatus: "Name:\ticnn\n") == nil)
  }

  @Test("the tightest limit of the control groups counts")
  func quotas() {
    func quota(_ files: [String: String]) -> Double? { CPU.cgroupQuota { files[$0] } }
    #expect(quota([:]) == nil)
    #expect(quota(["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "max 100000\n"]) == nil)
    #expect(quota(["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "250000 100000\n"]) == 2.5)
    let nested = [
      "/proc/self/cgroup": "0::/pod/job\n", "/sys/fs/cgroup/pod/job/cpu.max": "800000 100000\n",
      "/sys/fs/cgroup/pod/cpu.max": "300000 100000\n",
    ]
    #expect(quota(nested) == 3)
    let version1 = [
      "/proc/self/cgroup": "5:memory:/job\n4:cpu,cpuacct:/job\n",
      "/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "150000\n",
      "/sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
      "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    ]
    #expect(quota(version1) == 1.5)
  }

  @Test("configuring sets the pool and keeps OpenBLAS single-threaded")
  func configure() {
    withKernels(.current, threads: CPU.threadCount) {
      let before = CPU.threadCount
      #expect(CPU.configure(threads: 3) == 3)
      #expect(CPU.threadCount == 3 && CPU.blasThreadCount == 1)
      #expect(CPU.configure() == CPU.usableCount)
      CPU.configure(threads: before)
    }
  }

  @Test("this machine is described")
  func description() {
    #expect(CPU.allowedCount >= 1 && CPU.usableCount >= 1 && CPU.usableCount <= CPU.allowedCount)
    #expect(!CPU.modelName.isEmpty && !CPU.blasCore.isEmpty)
    #expect(CPU.blasConfiguration.contains("OpenBLAS"))
  }
}
