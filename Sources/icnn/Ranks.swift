import Communication
import Glibc
import Training

/// Runs `body` on the ranks of this job (one, without mpirun) and ends the program with the code it returns.
///
/// An error that all ranks share is told by rank 0, and all ranks end in good order. Any other error is told by the
/// rank that met it, which then ends all ranks: nobody waits for the dead.
func withRanks(_ body: (any Communicator) throws -> Int32) throws -> Never {
  let communicator = try Communicators.start()
  do {
    let code = try body(communicator)
    communicator.finalize()
    exit(code)
  } catch {
    let failure = ExitError(error)
    if failure.isShared || communicator.size == 1 {
      if communicator.rank == 0 { printError(failure.description) }
      communicator.finalize()
      exit(failure.code)
    }
    printError("rank \(communicator.rank): \(failure.description)")
    communicator.abort(code: failure.code)
  }
}
