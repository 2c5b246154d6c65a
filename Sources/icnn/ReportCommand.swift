import ArgumentParser
import Communication
import Datasets
import Foundation
import Interpretability
import Tensors
import Training

/// `icnn report`.
struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "One self-contained HTML page: what every filter learned.",
    discussion: """
      Metrics beside their controls, training curves, every filter with the images on which it is strongest, and every \
      misclassified image with the filters that misled the network. With --compare a second network, such as the ordinary \
      twin, stands beside the first.
      """)

  @Option(help: ArgumentHelp("Checkpoint, or a run whose newest one is meant.", valueName: "path"))
  var checkpoint: String
  @Option(help: ArgumentHelp("A second checkpoint, set beside the first.", valueName: "path")) var compare:
    String?
  @Option(help: ArgumentHelp("Data set.", valueName: "dir")) var data: String
  @Option(help: "train or val.") var split: Split = .validation
  @Option(help: ArgumentHelp("The page to be written.", valueName: "file")) var output: String
  @Option(
    help: ArgumentHelp(
      "Also write every picture into this folder, as PNG in full size, in a folder for each network.",
      valueName: "dir"))
  var pictures: String?
  @Option(help: "Heading. Default: the network and what it was trained on.") var title: String?
  @Option(help: "Most misclassified images shown of each network, worst first.") var mistakes = 200
  @OptionGroup(title: "Filters") var metrics: MetricsOptions
  @OptionGroup var threads: ThreadOptions

  func validate() throws {
    guard mistakes >= 0 else { throw ValidationError("--mistakes \(mistakes): expected 0 or more") }
    guard !metrics.accuracyOnly else {
      throw ValidationError("--accuracy-only: a report is about filters; use icnn evaluate")
    }
  }

  func run() throws {
    let communicator = SingleProcess()
    try threads.configure(communicator)
    let console = Console(isSpeaking: true)
    let began = ContinuousClock.now
    try requireFolder()
    var maker = ReportMaker(
      data: data, split: split, metrics, mostMistakes: mistakes, pictures: pictures, communicator, console)
    var paths = [checkpoint]
    if let compare { paths.append(compare) }
    for path in paths {
      let trained = try TrainedNetwork(path) { console.warning("passed over: \($0)") }
      console.line("\(trained.directory): \(trained.state.configuration.network)")
      try maker.add(trained)
    }
    let page = ReportPage(maker.contents(title: title)).html()
    do {
      try Data(page.utf8).write(to: URL(fileURLWithPath: output), options: .atomic)
    } catch {
      throw ExitError(code: 74, "cannot write the report – \(output) – \(error.localizedDescription)")
    }
    console.line(
      "\(output): \((Double(page.utf8.count) / 1e6).fixed(1)) MB in "
        + "\((ContinuousClock.now - began).inSeconds.fixed(0)) s")
  }

  /// Before minutes are spent on what cannot be kept.
  private func requireFolder() throws {
    let folder = URL(fileURLWithPath: output).deletingLastPathComponent().path
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: folder, isDirectory: &isDirectory), isDirectory.boolValue
    else {
      throw ExitError(code: 74, "the folder of the report is missing – \(folder) – make it first")
    }
  }
}
