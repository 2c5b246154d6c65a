import Training

/// How a job under mpirun ended, and the documented exit code that says so.
///
/// mpirun passes on the code of ranks that end in good order, and has codes of its own for what happens to them and to
/// itself (Open MPI 4.1). A supervisor needs one list: see the exit codes in `icnn --help`.
struct JobEnd: Equatable {
  /// Whether another attempt may end better.
  enum Retry: Equatable {
    case never
    /// It may have been bad luck, unless it happens again before a new checkpoint.
    case afterProgress
    case always
  }

  /// The documented code.
  let code: Int32
  /// What happened and what to do, for the codes that the ranks have not explained themselves.
  let explanation: String?
  /// Whether to start again from the last checkpoint.
  let retry: Retry

  /// - Parameters:
  ///   - launcherCode: mpirun's exit code, 128 + n if signal n ended it.
  ///   - stopSignal: the signal that asked the job to stop, if one did.
  init(launcherCode: Int32, stopSignal: Int32? = nil) {
    let documented: Set<Int32> = [0, 64, 65, 66, 70, 74, 75, 78, 85]
    if documented.contains(launcherCode) {
      code = launcherCode
      explanation = nil
      // A disk may have room again. 85 without a request to this process: somebody has stopped the ranks on purpose.
      retry = launcherCode == 75 ? .always : launcherCode == 74 ? .afterProgress : .never
      return
    }
    func ends(_ code: Int32, _ retry: Retry, _ text: String) -> (Int32, Retry, String) {
      (code, retry, "\(text) (mpirun: \(launcherCode))")
    }
    let again = "the last checkpoint stands – start again with --resume"
    if let stopSignal {
      (code, retry, explanation) = ends(
        128 + stopSignal, .never,
        "ended by signal \(stopSignal) without a checkpoint of this moment – \(again)")
      return
    }
    (code, retry, explanation) =
      switch launcherCode {
      case 1: ends(78, .afterProgress, "mpirun did not run the job – its reason stands above – mend it")
      case 110: ends(75, .always, "the time that mpirun was given is over – \(again)")
      case 132, 133:
        ends(70, .afterProgress, "a rank met a fault of the program, or the program is missing on a host")
      case 205: ends(75, .always, "the connection to a host was lost – \(again)")
      case 243: ends(78, .never, "mpirun found no ssh to reach other hosts – apt install openssh-client")
      case 255: ends(75, .always, "a host cannot be reached – \(again) once it can")
      case 129...192: ends(75, .always, "a rank was ended by signal \(launcherCode - 128) – \(again)")
      default: ends(70, .never, "the job ended with a code that nothing here gives")
      }
  }

  /// The end of a job that was ended because it did nothing for `seconds`.
  static func stalled(seconds: Int) -> JobEnd {
    JobEnd(
      code: 75,
      explanation:
        "the job made no progress for \(seconds) s and was ended – see --progress-timeout – start again "
        + "with --resume", retry: .always)
  }

  /// The end of a job that is to go on with more ranks.
  static let growing = JobEnd(code: 85, explanation: nil, retry: .always)

  /// The end of an attempt that was none.
  static func unreachable(_ minRanks: Int) -> JobEnd {
    JobEnd(
      code: 75,
      explanation:
        "too few hosts answer for \(minRanks) ranks – see above – mend them, or allow fewer by --min-ranks",
      retry: .always)
  }

  /// The end of a launcher that is asked to stop while nothing runs.
  static func stopped(by signal: Int32, hasCheckpoint: Bool) -> JobEnd {
    JobEnd(code: hasCheckpoint ? 85 : 128 + signal, explanation: nil, retry: .never)
  }

  private init(code: Int32, explanation: String?, retry: Retry) {
    (self.code, self.explanation, self.retry) = (code, explanation, retry)
  }
}
