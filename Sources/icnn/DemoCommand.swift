import ArgumentParser
import Datasets
import Foundation
import Tensors
import Training

/// `icnn demo`.
struct DemoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract:
      "The whole story in minutes on built-in images: ordinary and interpretable, one process and two ranks, a report."
  )

  @Option(help: ArgumentHelp("Folder for data and runs.", valueName: "dir")) var output = "icnn-demo"
  @Option(help: "Passes over the training images.") var epochs = 20
  @Option(help: "Images of each of the six categories.") var imagesPerCategory = 150
  @Option(help: "Side of the images, in pixels.") var imageSize = 64

  private struct Run {
    let name: String
    let title: String
    let arguments: [String]
    let ranks: Int
  }

  func run() throws {
    // Another size or number is another data set.
    let data = output + "/data-\(imageSize)-pixels-\(imagesPerCategory)-images"
    if !FileManager.default.fileExists(atPath: data + "/annotations.jsonl") {
      CPU.configure()
      let options = SyntheticParts.Options(
        categories: 6, imagesPerCategory: imagesPerCategory, imageSize: imageSize)
      let parts = SyntheticParts(options)
      print("Drawing \(imagesPerCategory) images of each of \(parts.classNames.joined(separator: ", "))")
      try parts.write(to: data)
    }
    let runs = [
      Run(name: "ordinary", title: "ordinary, one process", arguments: ["--ordinary"], ranks: 1),
      Run(name: "interpretable", title: "interpretable, one process", arguments: [], ranks: 1),
      Run(name: "interpretable-2-ranks", title: "interpretable, mpirun -np 2", arguments: [], ranks: 2),
    ]
    var rows: [String] = []
    for run in runs {
      print("\n== \(run.title)")
      guard let launcher = try Launcher(Launcher.Job(ranks: run.ranks, isOversubscribed: true)) else {
        print("mpirun is not installed: left out (apt install openmpi-bin openssh-client)")
        rows.append(row(run.title, "mpirun is not installed"))
        continue
      }
      let folder = output + "/" + run.name
      try removeRun(folder)
      let arguments =
        [
          "train", "--data", data, "--output", folder, "--image-size", String(imageSize), "--epochs",
          String(epochs), "--network", "compact",
        ] + run.arguments
      print(launcher.description(arguments))
      let began = ContinuousClock.now
      let code = try launcher.run(arguments)
      guard code == 0 else { throw ExitError(code: code, "the demo's training ended with code \(code)") }
      let seconds = (ContinuousClock.now - began).inSeconds
      let accuracy = try Checkpoint.open(folder).state.validationAccuracy ?? 0
      rows.append(row(run.title, "accuracy \(accuracy.fixed(3)) in \(seconds.fixed(0)) s"))
    }
    print("\n== what the filters learned")
    let report = output + "/report.html"
    try write(report, data: data)
    print("\n" + rows.joined(separator: "\n"))
    print("\nOpen \(report) in a browser: every filter, both networks, every mistake.")
    print("Look further:  icnn evaluate --checkpoint \(output)/interpretable --data \(data)")
    print("               icnn info \(output)/interpretable")
  }

  /// The report on both networks of one process.
  private func write(_ report: String, data: String) throws {
    guard let launcher = try Launcher(Launcher.Job(ranks: 1, isOversubscribed: true)) else { return }
    let arguments = [
      "report", "--checkpoint", output + "/interpretable", "--compare", output + "/ordinary", "--data", data,
      "--output", report,
    ]
    print(launcher.description(arguments))
    let code = try launcher.run(arguments)
    guard code == 0 else { throw ExitError(code: code, "the demo's report ended with code \(code)") }
  }

  /// Removes what an earlier demo left; anything that is no run is somebody's own.
  private func removeRun(_ folder: String) throws {
    guard FileManager.default.fileExists(atPath: folder) else { return }
    guard FileManager.default.fileExists(atPath: folder + "/metrics.jsonl") else {
      throw ExitError(code: 64, "the folder is no run of the demo – \(folder) – choose another --output")
    }
    try FileManager.default.removeItem(atPath: folder)
  }

  private func row(_ title: String, _ text: String) -> String {
    title + String(repeating: " ", count: max(1, 32 - title.count)) + text
  }
}
