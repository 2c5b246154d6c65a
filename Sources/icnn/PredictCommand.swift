import ArgumentParser
import Datasets
import Foundation
import Interpretability
import Tensors
import Training

/// `icnn predict`.
struct PredictCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "predict",
    abstract: "Class probabilities of single images, and the filters that spoke for and against.",
    discussion: """
      Every filter of the last convolution contributes a share to the class's logit; contributions and the rest (the \
      biases above the filters) sum to it. In an interpretable network a filter stands for one part of one category.
      """)

  @Option(help: ArgumentHelp("Checkpoint, or a run whose newest one is meant.", valueName: "path"))
  var checkpoint: String
  @Argument(help: "JPEG or PNG files.") var images: [String]
  @Option(name: .customLong("class"), help: "Explain this class. Default: the predicted one.")
  var explainedClass: String?
  @Option(help: "Filters listed and drawn, for and against each; 0: no explanation.") var filters = 5
  @Option(
    help: ArgumentHelp(
      "Draw each explanation into this folder, as NAME.png: filters as numbered rings (orange for, blue against), and a "
        + "heat map of the evidence.", valueName: "dir"))
  var picture: String?
  @Flag(help: "Print one JSON object a line, with all filters.") var json = false
  @OptionGroup var threads: ThreadOptions

  func validate() throws {
    guard filters >= 0 else { throw ValidationError("--filters \(filters): expected 0 or more") }
    guard filters > 0 || (picture == nil && explainedClass == nil) else {
      throw ValidationError("--filters 0 leaves out the explanation that --picture and --class ask for")
    }
  }

  /// One line of `--json`.
  private struct Line: Encodable {
    let prediction: Predictor.Prediction
    let explanation: Explanation?

    enum CodingKeys: String, CodingKey { case explanation }

    func encode(to encoder: any Encoder) throws {
      try prediction.encode(to: encoder)
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encodeIfPresent(explanation, forKey: .explanation)
    }
  }

  func run() throws {
    CPU.configure(threads: threads.threads)
    let trained = try TrainedNetwork(checkpoint) { printError("passed over: \($0)") }
    let predictor = Predictor(trained)
    let names = trained.state.classNames
    let classIndex = try explainedClass.map { name in
      guard let index = names.firstIndex(of: name) else {
        throw ExitError(
          code: 64, "unknown class – --class \(name) – the checkpoint knows \(names.joined(separator: ", "))")
      }
      return index
    }
    let frame = InputFrame(
      imageSize: trained.state.preprocessing.imageSize,
      Augmentation(cropMargin: Float(trained.state.configuration.cropMargin)))
    let explainer =
      filters == 0 ? nil : try Explainer(trained.network, trained.context, classNames: names, frame)
    var pictures = try picture.map { try PictureFolder($0) }
    for path in images {
      let prediction = try predictor.predict(path)
      let (width, height) = predictor.extent
      let result = try explainer?.explain(
        predictor.input, width: width, height: height, classIndex: classIndex)
      if json {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let line = Line(prediction: prediction, explanation: result?.explanation)
        print(String(decoding: try encoder.encode(line), as: UTF8.self))
      } else {
        print(text(prediction, result?.explanation))
      }
      if let result, let explainer {
        try pictures?.write(
          try draw(path, result, explainer, frame, width: width, height: height), named: path)
      }
    }
  }

  /// The filters that are listed: those for the class, then those against it.
  private func listed(_ explanation: Explanation) -> [Explanation.Evidence] {
    Array(explanation.supporting.prefix(filters)) + Array(explanation.opposing.prefix(filters))
  }

  private func draw(
    _ path: String, _ result: Explainer.Result, _ explainer: Explainer, _ frame: InputFrame, width: Int,
    height: Int
  ) throws -> RGBImage {
    let reader = FramedImage(frame)
    return ExplanationPicture.draw(
      try reader.read([UInt8](Data(contentsOf: URL(fileURLWithPath: path)))), result, explainer.layer,
      evidence: listed(result.explanation), frame, width: width, height: height)
  }

  private func text(_ prediction: Predictor.Prediction, _ explanation: Explanation?) -> String {
    let classes = prediction.probabilities.sorted { $0.probability > $1.probability }.prefix(5)
    var lines = [
      "\(prediction.image): "
        + classes.map { "\($0.className) \($0.probability.fixed(4))" }.joined(separator: ", ")
    ]
    if let explanation {
      let said = explanation.evidence.reduce(0) { $0 + $1.contribution }
      lines.append(
        "  \(explanation.className): logit \(explanation.logit.fixed(3)) = filters \(said.fixed(3)) + rest "
          + explanation.rest.fixed(3))
      lines += listed(explanation).enumerated().map { index, one in
        let meaning = one.category.map { " of \($0)" } ?? ""
        let place = "at (\(one.x.fixed(0)), \(one.y.fixed(0)))"
        return "  \(index + 1). filter \(one.filter)\(meaning) \(place): \(one.contribution > 0 ? "+" : "")"
          + "\(one.contribution.fixed(3)), \((100 * one.share).fixed(1)) % of the evidence"
      }
    }
    return lines.joined(separator: "\n")
  }
}
