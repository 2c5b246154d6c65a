import ArgumentParser
import Communication
import Datasets
import Foundation
import Training

extension Split: ExpressibleByArgument {}

/// `icnn evaluate`.
struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Accuracy of a checkpoint on a data set, and what its filters learned; also under mpirun.",
    discussion: """
      Location instability, part interpretability, purity and the entropies of the filter loss, each beside what \
      ignorance would get; docs/Metrics.md explains them. What the data set's annotations do not allow is left out \
      and named. The figures do not depend on the number of ranks.
      """)

  @Option(help: ArgumentHelp("Checkpoint, or a run whose newest one is meant.", valueName: "path"))
  var checkpoint: String
  @Option(help: ArgumentHelp("Data set.", valueName: "dir")) var data: String
  @Option(help: "train or val.") var split: Split = .validation
  @Flag(help: "Print JSON.") var json = false
  @OptionGroup(title: "Filters") var metrics: MetricsOptions
  @OptionGroup var threads: ThreadOptions
  @OptionGroup var stall: StallOptions

  func run() throws {
    try withRanks { communicator in
      communicator.watch(stallTimeoutSeconds: stall.stallTimeout)
      try threads.configure(communicator)
      let console = Console(isSpeaking: communicator.rank == 0)
      let trained = try onAllRanks(communicator) {
        try TrainedNetwork(checkpoint) { console.warning("passed over: \($0)") }
      }
      let evaluation = try Evaluation(trained, data: data, split: split, metrics, communicator, console)
      guard communicator.rank == 0 else { return 0 }
      if json {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(evaluation), as: UTF8.self))
      } else {
        print(EvaluationTable(evaluation).text)
      }
      return 0
    }
  }
}
