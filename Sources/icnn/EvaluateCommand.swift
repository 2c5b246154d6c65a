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
    abstract: "Accuracy and confusion of a checkpoint on a data set, also under mpirun.")

  @Option(help: ArgumentHelp("Checkpoint, or a run whose newest one is meant.", valueName: "path"))
  var checkpoint: String
  @Option(help: ArgumentHelp("Data set.", valueName: "dir")) var data: String
  @Option(help: "train or val.") var split: Split = .validation
  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var threads: ThreadOptions

  func run() throws {
    try withRanks { communicator in
      try threads.configure(communicator)
      let console = Console(isSpeaking: communicator.rank == 0)
      let trained = try onAllRanks(communicator) {
        try TrainedNetwork(checkpoint) { console.warning("passed over: \($0)") }
      }
      let result = try trained.evaluate(data: data, split: split, communicator, console)
      guard communicator.rank == 0 else { return 0 }
      if json {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        print(String(decoding: try encoder.encode(result), as: UTF8.self))
      } else {
        print(table(result))
      }
      return 0
    }
  }

  private func table(_ result: EvaluationResult) -> String {
    let width = max(8, (result.classNames.map(\.count).max() ?? 0) + 1)
    let cell = { (text: String) in String(repeating: " ", count: max(1, width - text.count)) + text }
    var lines = [
      "images \(result.imageCount), accuracy \(result.accuracy.fixed(4)), loss \(result.loss.fixed(4))", "",
      cell("true") + result.classNames.map(cell).joined() + cell("correct"),
    ]
    for (index, name) in result.classNames.enumerated() {
      let accuracy = result.classAccuracies[index].map { $0.fixed(3) } ?? "-"
      lines.append(cell(name) + result.confusion[index].map { cell(String($0)) }.joined() + cell(accuracy))
    }
    return lines.joined(separator: "\n")
  }
}
