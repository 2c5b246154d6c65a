import Foundation

/// Processor time of this process.
enum ProcessTime {
  /// Seconds that all its threads have computed so far; what other processes do is not in it.
  static var cpuSeconds: Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
  }
}
