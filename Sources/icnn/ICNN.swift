import ArgumentParser
import Foundation
import Glibc
import Tensors
import Training

/// The command line: one file per command.
@main
struct ICNN: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "icnn",
    abstract: "Trains interpretable convolutional networks (Zhang, Wu, Zhu, CVPR 2018) on one or many CPUs.",
    discussion: """
      Each filter of the top convolutions learns one object part of one category, without part labels.

      Exit codes: 0 done; 64 wrong usage; 65 bad data; 66 an input is missing; 70 numerical breakdown or a fault \
      of the program; 74 disk; 75 a peer is lost, start again with --resume; 78 configuration or environment \
      unfit; 85 interrupted after a complete checkpoint, start again with --resume.
      """,
    version: Version.current,
    subcommands: [
      TrainCommand.self, EvaluateCommand.self, PredictCommand.self, ReportCommand.self, InfoCommand.self,
      DoctorCommand.self, WeightsCommand.self,
      BenchCommand.self, PlanCommand.self, DataCommand.self, DemoCommand.self, LaunchCommand.self,
    ])

  /// What became of OpenBLAS's choice of kernels.
  nonisolated(unsafe) private(set) static var blasCore = BLASCoreType.Outcome.suitable(core: CPU.blasCore)

  static func main() {
    // OpenBLAS reads its core type when it is loaded: a wrong choice is mended by starting anew, before MPI is.
    // A launcher computes nothing, and would pass this host's choice on to ranks on others.
    if CommandLine.arguments.dropFirst().first != LaunchCommand.configuration.commandName {
      blasCore = BLASCoreType.reexecuteIfNeeded()
    }
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let error as ExitError {
      fail(error)
    } catch let error as any ErrorWithExitCode {
      fail(ExitError(error))
    } catch {
      exit(withError: error)
    }
  }

  private static func fail(_ error: ExitError) -> Never {
    printError(error.description)
    Glibc.exit(error.code)
  }
}

/// `error: what – where – what to do` on standard error.
func printError(_ text: String) {
  FileHandle.standardError.write(Data("error: \(text)\n".utf8))
}
