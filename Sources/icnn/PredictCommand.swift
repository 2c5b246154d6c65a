import ArgumentParser
import Datasets
import Foundation
import Tensors
import Training

/// `icnn predict`.
struct PredictCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "predict", abstract: "Class probabilities of single images.")

  @Option(help: ArgumentHelp("Checkpoint, or a run whose newest one is meant.", valueName: "path"))
  var checkpoint: String
  @Argument(help: "JPEG or PNG files.") var images: [String]
  @Flag(help: "Print one JSON object a line.") var json = false
  @OptionGroup var threads: ThreadOptions

  func run() throws {
    CPU.configure(threads: threads.threads)
    let predictor = Predictor(try TrainedNetwork(checkpoint) { printError("passed over: \($0)") })
    for path in images {
      let prediction = try predictor.predict(path)
      if json {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(prediction), as: UTF8.self))
      } else {
        let classes = prediction.probabilities.sorted { $0.probability > $1.probability }.prefix(5)
        print(
          "\(path): " + classes.map { "\($0.className) \($0.probability.fixed(4))" }.joined(separator: ", "))
      }
    }
  }
}
