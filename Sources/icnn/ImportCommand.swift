import ArgumentParser
import Datasets
import Foundation
import Tensors
import Training

/// `icnn data import`.
struct ImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Turn a published data set into images/CLASS/FILE.jpg with part annotations.",
    discussion: """
      animal-part  ILSVRC 2013 Animal-Part: detanimalpart's folders and interpretableCNN's annotations and negatives
      cub200       CUB-200-2011: the folder CUB_200_2011
      voc-part     PASCAL-Part: Annotations_Part beside VOCdevkit/VOC2010

      Goes on where it was stopped; the same command on a finished folder verifies it.
      """)

  enum Layout: String, ExpressibleByArgument, CaseIterable {
    case animalPart = "animal-part"
    case cub200
    case vocPart = "voc-part"
  }

  @Argument(help: "animal-part, cub200 or voc-part.") var layout: Layout
  @Argument(help: "The published data set.") var source: String
  @Option(help: ArgumentHelp("New folder, or that of the same import.", valueName: "dir")) var output: String
  @Option(
    help:
      "photographs: all objects of one on one side (cub200: the published split); authors: as their code does."
  )
  var split: ImportPlan.SplitRule = .photographs
  @Option(
    name: .customLong("class"),
    help: "voc-part: a class to import, may be repeated. Default: the paper's animals.")
  var classes: [String] = []
  @Option(help: "voc-part: merged or separate, as published.") var parts: VOCPart.PartRule = .merged
  @Option(help: "Larger objects are shrunk to so many pixels.") var longestSide = 500
  @Flag(help: "Print the summary as JSON.") var json = false

  func validate() throws {
    guard (16...10_000).contains(longestSide) else {
      throw ValidationError("--longest-side takes 16 to 10000")
    }
  }

  func run() throws {
    CPU.configure()
    let reading = ProgressLine("annotations")
    let plan = try makePlan { reading.show($0, of: $1) }
    let writing = ProgressLine("images")
    let total = plan.count
    let summary = try DataImport(plan, to: output, longestSide: longestSide).run {
      writing.show($0, of: total)
    }
    if json { try printJSON(summary) } else { print(summary.description) }
  }

  private func makePlan(_ progress: @escaping @Sendable (Int, Int) -> Void) throws -> ImportPlan {
    switch layout {
    case .animalPart: try AnimalPart.plan(source, split: split)
    case .cub200: try CUB200.plan(source)
    case .vocPart:
      try VOCPart.plan(
        source, classes: classes.isEmpty ? VOCPart.animals : classes, parts: parts, split: split,
        progress: progress)
    }
  }
}

/// How far long work is, with its rate and the time left. Calls come one at a time, from any thread.
private final class ProgressLine: @unchecked Sendable {
  // @unchecked: callers promise one call at a time.
  private let console = Console(isSpeaking: true)
  private let noun: String
  private let began = ContinuousClock.now

  init(_ noun: String) { self.noun = noun }

  func show(_ done: Int, of total: Int) {
    console.progress {
      let seconds = (ContinuousClock.now - began).inSeconds
      let rate = Double(done) / max(seconds, 1e-3)
      let left = Double(total - done) / rate
      return "\(noun) \(done) of \(total), \(rate.fixed(0)) a second, \(left.fixed(0)) s left"
    }
  }
}

extension ImportPlan.SplitRule: ExpressibleByArgument {}
extension VOCPart.PartRule: ExpressibleByArgument {}
