import CKernels
import COpenBLAS

/// The processors of this process: how many it may use, what they are, and what is set up to run on them.
public enum CPU {
  /// Starts the thread pool and sets OpenBLAS to one thread: its products are pieces of work of our pool, and two pools
  /// would fight for the same processors. Call it once, before any computation.
  ///
  /// - Parameters:
  ///   - threads: threads of the pool, at least 1; by default `usableCount`.
  ///   - pin: whether each worker stays on one of the allowed processors.
  /// - Returns: the number of threads of the pool.
  @discardableResult
  public static func configure(threads: Int? = nil, pin: Bool = false) -> Int {
    let count = threads ?? usableCount
    precondition(count >= 1, "CPU.configure: \(count) threads")
    openblas_set_num_threads(1)
    ck_threads_configure(Int32(count), pin ? 1 : 0)
    return threadCount
  }

  /// Threads of the pool.
  public static var threadCount: Int { Int(ck_threads_count()) }

  /// Processors that this process may run on: those of its affinity mask (taskset, mpirun --bind-to, cpusets).
  public static var allowedCount: Int {
    SystemFile.read("/proc/self/status").flatMap(allowedCount(inStatus:)) ?? 1
  }

  /// The same as the system lists them ("0-3,8"); empty where it does not say.
  public static var allowedList: String {
    let status = SystemFile.read("/proc/self/status") ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") }
    return line.map { $0.dropFirst("Cpus_allowed_list:".count).filter { !$0.isWhitespace } } ?? ""
  }

  /// Processors' worth of time that the control group grants (container limits), or nil without a limit.
  public static var quota: Double? { cgroupQuota(read: SystemFile.read) }

  /// Threads that make sense: the allowed processors, or fewer under a quota; at least 1.
  public static var usableCount: Int {
    guard let quota else { return allowedCount }
    return max(1, min(allowedCount, Int(quota.rounded(.up))))
  }

  /// Marketing name, or "unknown".
  public static var modelName: String {
    let name = CPUFeatures.current.modelName
    return name.isEmpty ? "unknown" : name
  }

  /// The kernel set OpenBLAS has chosen ("SkylakeX", "Prescott", …).
  public static var blasCore: String { String(cString: openblas_get_corename()) }

  /// Version and build options of OpenBLAS.
  public static var blasConfiguration: String { String(cString: openblas_get_config()) }

  /// Threads that OpenBLAS uses for one product; 1 after `configure`.
  public static var blasThreadCount: Int { Int(openblas_get_num_threads()) }

  /// Number of processors in the line `Cpus_allowed_list:` of /proc/self/status ("0-3,8,10-11" → 7).
  static func allowedCount(inStatus status: String) -> Int? {
    let key = "Cpus_allowed_list:"
    guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix(key) }) else { return nil }
    var count = 0
    for range in line.dropFirst(key.count).trimmed.split(separator: ",") {
      let ends = range.split(separator: "-").compactMap { Int($0) }
      guard let first = ends.first, let last = ends.last, last >= first else { return nil }
      count += last - first + 1
    }
    return count > 0 ? count : nil
  }

  /// The tightest CPU limit on the way from this process's control group to the root, versions 2 and 1.
  static func cgroupQuota(read: (_ path: String) -> String?) -> Double? {
    var limits: [Double] = []
    for line in (read("/proc/self/cgroup") ?? "").split(separator: "\n") {
      // "0::/path" for version 2, "4:cpu,cpuacct:/path" for version 1.
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      let controllers = fields[1].split(separator: ",")
      guard controllers.isEmpty || controllers.contains("cpu") else { continue }
      var path = fields[2] == "/" ? "" : String(fields[2])
      while true {
        if controllers.isEmpty {
          limits += limit(inMax: read("/sys/fs/cgroup\(path)/cpu.max"))
        } else {
          let quota = read("/sys/fs/cgroup/cpu\(path)/cpu.cfs_quota_us")
          let period = read("/sys/fs/cgroup/cpu\(path)/cpu.cfs_period_us")
          limits += limit(inMax: quota.flatMap { quota in period.map { "\(quota) \($0)" } })
        }
        guard let slash = path.lastIndex(of: "/") else { break }
        path = String(path[..<slash])
      }
    }
    return limits.min()
  }

  /// "200000 100000" (microseconds per period) → [2]; "max 100000", "-1 100000" or nothing → [].
  private static func limit(inMax text: String?) -> [Double] {
    let numbers = (text ?? "").split { $0 == " " || $0 == "\n" }.map { Double($0) }
    guard numbers.count == 2, let quota = numbers[0], let period = numbers[1], quota > 0, period > 0 else {
      return []
    }
    return [quota / period]
  }
}
