import ArgumentParser
import Communication
import Foundation
import Tensors
import Training

/// `icnn train`.
struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Train a network on a folder of images, alone or under mpirun.",
    discussion: """
      One process:  icnn train --data DIR --output RUN
      Cluster:      mpirun -np 4 --hostfile hostfile icnn train --data DIR --output RUN
      Continue:     the same with --resume, on any number of ranks.
      """)

  @OptionGroup var options: TrainOptions
  @Option(help: ArgumentHelp("Run folder: configuration, metrics, checkpoints.", valueName: "run"))
  var output: String
  @Flag(help: "Continue from the newest valid checkpoint of the run; begin if it has none.") var resume =
    false
  @Flag(help: "With --resume: end with code 66 if the run has no checkpoint.") var requireCheckpoint = false
  @Flag(help: "List the data set and decode every image anew, whatever its index (.icnn-index) says.")
  var rebuildIndex = false
  @OptionGroup var threads: ThreadOptions
  @OptionGroup var stall: StallOptions
  @OptionGroup var trace: TraceArguments
  @Flag(help: "Single-process debug mode: check and describe every layer of the first steps.")
  var debug = false
  @Flag(help: "With --debug: compare gradients with finite differences.") var checkGradients = false

  func run() throws {
    let configuration = try options.configuration()
    guard !configuration.data.isEmpty else {
      throw ValidationError("--data is missing: give the folder of a data set (`icnn demo` needs none)")
    }
    guard !checkGradients || debug else { throw ValidationError("--check-gradients needs --debug") }
    guard !requireCheckpoint || resume else {
      throw ValidationError("--require-checkpoint needs --resume")
    }
    guard !debug || trace.trace == nil else {
      throw ValidationError("--debug and --trace exclude each other")
    }
    StopSignal.install()
    try withRanks(configuration, threads, stall) { try train(configuration, $0) }
  }

  private func train(_ configuration: TrainingConfiguration, _ communicator: any Communicator) throws -> Int32
  {
    let console = Console(isSpeaking: communicator.rank == 0)
    switch ICNN.blasCore {
    case .corrected, .notCorrected: console.line(ICNN.blasCore.description)
    case .suitable, .chosenByUser: break
    }
    let trainer = try Trainer(
      configuration, output: output, resume: resume, requireCheckpoint: requireCheckpoint,
      rebuildIndex: rebuildIndex, communicator, console)
    if debug {
      guard communicator.size == 1 else {
        throw ExitError(
          code: 64,
          "--debug is for a single process – \(communicator.size) ranks or shards – leave out mpirun and "
            + "--reproducible", isShared: true)
      }
      try trainer.debug(checkGradients: checkGradients)
      return 0
    }
    trainer.setTrace(trace.options)
    return try trainer.train() == .interrupted ? 85 : 0
  }
}

/// Threads of each rank.
struct ThreadOptions: ParsableArguments {
  @Option(
    help: "Threads per rank. (default: the cores it may use, shared with the ranks that may use the same)")
  var threads: Int?

  /// Starts the thread pool. All ranks call it.
  func configure(_ communicator: any Communicator) throws {
    CPU.configure(threads: try count(communicator))
  }

  /// Threads that a rank computes with. All ranks call it.
  func count(_ communicator: any Communicator) throws -> Int {
    if let threads, !(1...1024).contains(threads) {
      throw ExitError(code: 64, "--threads \(threads) – expected 1 to 1024 – give fewer", isShared: true)
    }
    // mpirun may bind each rank to cores of its own, or leave all of a host's to all of its ranks.
    let place = ProcessInfo.processInfo.hostName + " " + CPU.allowedList
    let sharing = try communicator.allGather(Array(place.utf8)).filter { $0 == Array(place.utf8) }.count
    return threads ?? max(1, CPU.usableCount / max(1, sharing))
  }
}
