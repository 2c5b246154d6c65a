import Training

/// How a job under mpirun ended, and the documented exit code that says so.
///
/// mpirun passes on the code of ranks that end in good order, and has codes of its own for what happens to them and to
/// itself (Open MPI 4.1). A supervisor needs one list: see the exit codes in `icnn --help`.
struct JobEnd: Equatable {
  /// The documented code.
  let code: Int32
  /// What happened and what to do, for the codes that the ranks have not explained themselves.
  let explanation: String?

  /// - Parameters:
  ///   - launcherCode: mpirun's exit code, 128 + n if signal n ended it.
  ///   - stopSignal: the signal that asked the job to stop, if one did.
  init(launcherCode: Int32, stopSignal: Int32? = nil) {
    let documented: Set<Int32> = [0, 64, 65, 66, 70, 74, 75, 78, 85]
    if documented.contains(launcherCode) {
      code = launcherCode
      explanation = nil
      return
    }
    func ends(_ code: Int32, _ text: String) -> (Int32, String) {
      (code, "\(text) (mpirun: \(launcherCode))")
    }
    let again = "the last checkpoint stands – start again with --resume"
    if let stopSignal {
      (code, explanation) = ends(
        128 + stopSignal, "ended by signal \(stopSignal) without a checkpoint of this moment – \(again)")
      return
    }
    (code, explanation) =
      switch launcherCode {
      case 1: ends(78, "mpirun did not run the job – its reason stands above – mend it")
      case 110: ends(75, "the time that mpirun was given is over – \(again)")
      case 132, 133: ends(70, "a rank met a fault of the program, or the program is missing on a host")
      case 205: ends(75, "the connection to a host was lost – \(again)")
      case 243: ends(78, "mpirun found no ssh to reach other hosts – apt install openssh-client")
      case 255: ends(75, "a host cannot be reached – \(again) once it can")
      case 129...192: ends(75, "a rank was ended by signal \(launcherCode - 128) – \(again)")
      default: ends(70, "the job ended with a code that nothing here gives")
      }
  }
}
