import ArgumentParser
import Datasets
import Foundation
import Tensors
import Training

/// `icnn data …`.
struct DataCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "data", abstract: "Make and import data sets.",
    subcommands: [ImportCommand.self, SynthesizeCommand.self])
}

/// `icnn data synthesize`.
struct SynthesizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "synthesize",
    abstract:
      "Draw creatures whose categories differ by their parts, with the true part centres, boxes, masks.")

  @Option(help: ArgumentHelp("New folder.", valueName: "dir")) var output: String
  @Option(help: "Categories, 2 to 8.") var categories = 6
  @Option(help: "Images of each category.") var imagesPerCategory = 150
  @Option(help: "Counter-examples: clutter without a creature.") var negatives = 0
  @Option(help: "Side in pixels.") var imageSize = 96
  @Option(help: "Another seed, another data set.") var seed: UInt64 = 1

  func validate() throws {
    guard (2...8).contains(categories) else { throw ValidationError("--categories takes 2 to 8") }
    guard imagesPerCategory >= 5 else { throw ValidationError("--images-per-category takes 5 or more") }
    guard negatives >= 0 else { throw ValidationError("--negatives takes 0 or more") }
    guard (16...2048).contains(imageSize) else { throw ValidationError("--image-size takes 16 to 2048") }
  }

  func run() throws {
    if let entries = try? FileManager.default.contentsOfDirectory(atPath: output), !entries.isEmpty {
      throw ExitError(code: 64, "the folder is not empty – \(output) – choose a new --output")
    }
    CPU.configure()
    let parts = SyntheticParts(
      SyntheticParts.Options(
        categories: categories, imagesPerCategory: imagesPerCategory, negatives: negatives,
        imageSize: imageSize, seed: seed))
    try parts.write(to: output)
    let count = categories * imagesPerCategory + negatives
    print("\(count) images of \(parts.classNames.joined(separator: ", ")) in \(output)")
  }
}
