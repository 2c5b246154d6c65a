import Communication
import Datasets
import Foundation
import Interpretability
import Networks
import Training

/// Gathers what a report tells about one or two networks.
struct ReportMaker {
  private struct Study {
    let trained: TrainedNetwork
    let name: String
    let evaluation: Evaluation
    let network: ReportContents.Network
  }

  private let data: String
  private let split: Split
  private let measuring: MetricsOptions
  private let mostMistakes: Int
  /// Folder for pictures in full size; nil: they are only on the page.
  private let pictures: String?
  private let communicator: any Communicator
  private let console: Console
  private var studies: [Study] = []

  init(
    data: String, split: Split, _ measuring: MetricsOptions, mostMistakes: Int, pictures: String?,
    _ communicator: any Communicator,
    _ console: Console
  ) {
    self.data = data
    self.split = split
    self.measuring = measuring
    self.mostMistakes = mostMistakes
    self.pictures = pictures
    self.communicator = communicator
    self.console = console
  }

  /// Runs a network over the split, measures and draws its filters, explains its mistakes.
  mutating func add(_ trained: TrainedNetwork) throws {
    let evaluation = try Evaluation(
      trained, data: data, split: split, measuring, communicator, console)
    let opened = try trained.open(data: data, communicator, console)
    var name = trained.state.configuration.interpretable ? "interpretable" : "ordinary"
    if studies.contains(where: { $0.name == name }) { name += " (\(studies.count + 1))" }
    var network = ReportContents.Network(name: name)
    network.curves = curves(of: trained)
    if let records = evaluation.records, let metrics = evaluation.metrics {
      let gallery = FilterGallery(trained.network, trained.context, records, opened.folder, frame(opened))
      _ = try trained.evaluate(opened, split: split, communicator, console, observer: gallery.keeper)
      if let pictures {
        var folder = try PictureFolder(pictures + "/" + name)
        gallery.onPicture = { try folder.write($1, named: $0) }
      }
      console.line("drawing \(metrics.filters.count) filters")
      let pictures = try gallery.draw { console.progress($0) }
      network.filters = zip(metrics.filters, pictures).map { view($0, pictures: $1, metrics) }
      for (category, picture) in try gallery.drawCategories() {
        network.categoryPictures[trained.state.classNames[category]] = picture
      }
      network.mistakes = try mistakes(trained, opened, records, metrics, gallery.keeper.logits)
    }
    studies.append(Study(trained: trained, name: name, evaluation: evaluation, network: network))
  }

  private func frame(_ opened: TrainingData) -> InputFrame {
    InputFrame(imageSize: opened.preprocessing.imageSize, opened.augmentation)
  }

  /// From the run that the checkpoint lies in; empty where it was copied elsewhere.
  private func curves(of trained: TrainedNetwork) -> TrainingCurves {
    let run = URL(fileURLWithPath: trained.directory).deletingLastPathComponent().deletingLastPathComponent()
    return (try? TrainingCurves(metricsFile: run.appendingPathComponent("metrics.jsonl").path))
      ?? TrainingCurves()
  }

  private func view(
    _ filter: FilterMetrics.Filter, pictures: FilterGallery.Pictures, _ metrics: FilterMetrics
  )
    -> ReportContents.Filter
  {
    let silent = filter.category == nil ? "the filter fires on no image" : nil
    func number(_ value: Double?, _ key: String) -> ReportNumber {
      ReportNumber(value, or: silent ?? metrics.leftOut[key] ?? "its category has too few images for it")
    }
    var view = ReportContents.Filter(
      index: filter.index, category: filter.category, purity: number(filter.purity, "purity"),
      instability: number(filter.locationInstability, "location_instability"), part: filter.part,
      partRate: number(filter.part.flatMap { filter.partRates?[$0] }, "part_interpretability"),
      pictures: pictures.strongest)
    view.details = pictures.details
    return view
  }

  // MARK: mistakes

  private func mistakes(
    _ trained: TrainedNetwork, _ opened: TrainingData, _ records: FilterRecords, _ metrics: FilterMetrics,
    _ logits: [Int: [Float]]
  ) throws -> [ReportContents.Mistake] {
    let wrong = records.labels.indices.compactMap { position -> (position: Int, margin: Float)? in
      guard let values = logits[position] else { return nil }
      let predicted = values.withUnsafeBufferPointer { Evaluator.prediction($0.baseAddress!, values.count) }
      guard predicted != records.labels[position] else { return nil }
      // How much more it believes in the wrong class than in the right one.
      let margin = values.count == 1 ? abs(values[0]) : values[predicted] - values[records.labels[position]]
      return (position, margin)
    }.sorted { ($0.margin, $1.position) > ($1.margin, $0.position) }.prefix(mostMistakes)
    guard !wrong.isEmpty else { return [] }
    let predictor = Predictor(trained)
    let explainer = try Explainer(
      trained.network, trained.context, classNames: trained.state.classNames, frame(opened),
      layer: measuring.layer, categories: records.categories)
    let reader = FramedImage(frame(opened))
    return try wrong.enumerated().map { index, one in
      console.progress { "explained \(index) of \(wrong.count) mistakes" }
      let path = opened.folder.samples[records.samples[one.position]].path
      let prediction = try predictor.predict(opened.folder.directory + "/" + path)
      let (width, height) = predictor.extent
      let result = try explainer.explain(predictor.input, width: width, height: height)
      var bytes: [UInt8] = []
      try opened.folder.read(path, into: &bytes)
      let picture = EvidencePicture.draw(try reader.read(bytes), result, explainer.layer)
      let explanation = result.explanation
      return ReportContents.Mistake(
        image: path,
        picture: ReportPicture(
          photograph: picture, longestSide: 360,
          description: "\(path), and where the evidence for \(prediction.predicted) lies"),
        trueClass: trained.state.classNames[records.labels[one.position]],
        predictedClass: prediction.predicted,
        probabilities: prediction.probabilities.sorted { $0.probability > $1.probability }.prefix(3).map {
          ReportContents.Mistake.Probability($0.className, ReportNumber($0.probability, or: "not finite"))
        }, votesFor: explanation.supporting.prefix(4).map { vote($0, metrics) },
        votesAgainst: explanation.opposing.prefix(4).map { vote($0, metrics) })
    }
  }

  private func vote(_ evidence: Explanation.Evidence, _ metrics: FilterMetrics) -> ReportContents.Mistake.Vote
  {
    let part = metrics.filters[evidence.filter].part
    let meaning = [part, evidence.category.map { part == nil ? $0 : "of \($0)" }].compactMap(\.self)
    return ReportContents.Mistake.Vote(
      filter: evidence.filter, meaning: meaning.isEmpty ? "no category" : meaning.joined(separator: " "),
      weight: ReportNumber(evidence.contribution, or: "not finite"))
  }

  // MARK: the page

  /// Everything that was gathered.
  func contents(title: String?) -> ReportContents {
    let first = studies[0]
    let state = first.trained.state
    var contents = ReportContents(
      title: title ?? "What the filters of \(state.configuration.network) learned",
      subtitle: "\(URL(fileURLWithPath: data).lastPathComponent), \(state.classNames.count) classes, "
        + "\(split == .validation ? "validation" : "training") images · "
        + "layer \(first.evaluation.metrics?.layer.name ?? "–") · icnn \(Version.current)",
      networks: studies.map(\.network))
    contents.summary = studies.flatMap { summary($0) }
    contents.configuration = configuration()
    contents.metrics = ReportMetrics(studies.map { ($0.name, $0.evaluation) }).metrics
    contents.notes = notes()
    return contents
  }

  private func summary(_ study: Study) -> [ReportContents.Fact] {
    let result = study.evaluation.result
    let metrics = study.evaluation.metrics
    let suffix = studies.count > 1 ? ", \(study.name)" : ""
    var facts = [
      ReportContents.Fact(
        "Accuracy\(suffix)", "\((100 * result.accuracy).fixed(1)) %", remark: "of \(result.imageCount) images"
      )
    ]
    if let metrics, metrics.partInterpretability != nil {
      let withPart = metrics.filters.count { filter in
        filter.part.map { (filter.partRates?[$0] ?? 0) >= 0.5 } ?? false
      }
      facts.append(
        ReportContents.Fact(
          "Filters that find a part\(suffix)", "\(withPart)",
          remark: "on half of its images or more; of \(metrics.filters.count)"))
    }
    return facts
  }

  /// The first network's settings, and where the second one's differ.
  private func configuration() -> [ReportContents.Fact] {
    let lists = studies.map { $0.trained.state.configuration.listed }
    var facts = lists[0].map { name, value in
      var fact = ReportContents.Fact(name, value)
      if lists.count > 1, let other = lists[1].first(where: { $0.name == name })?.value, other != value {
        fact.remark = "\(studies[1].name): \(other)"
      }
      return fact
    }
    for study in studies {
      let state = study.trained.state
      facts.append(
        ReportContents.Fact(
          studies.count > 1 ? "checkpoint, \(study.name)" : "checkpoint", study.trained.directory,
          remark: "step \(state.step), epoch \(state.epoch), icnn \(state.programVersion), "
            + "\(state.parameterCount) parameters"))
    }
    return facts
  }

  private func notes() -> [String] {
    studies.flatMap { study -> [String] in
      guard let metrics = study.evaluation.metrics else { return [] }
      let prefix = studies.count > 1 ? "\(study.name): " : ""
      var notes = metrics.leftOut.sorted { $0.key < $1.key }.map {
        "\(prefix)\($0.key.replacingOccurrences(of: "_", with: " ")) is left out: \($0.value)"
      }
      if metrics.silentFilters > 0 {
        notes.append(
          "\(prefix)\(metrics.silentFilters) filters fire on no image; they have no category and no pictures."
        )
      }
      let hidden =
        study.evaluation.result.imageCount
        - Int(
          (study.evaluation.result.accuracy * Double(study.evaluation.result.imageCount)).rounded())
      if hidden > mostMistakes {
        notes.append("\(prefix)\(mostMistakes) of \(hidden) misclassified images are shown, worst first.")
      }
      return notes
    }
  }
}

extension TrainingConfiguration {
  /// Every option and its value, in the order of the file.
  fileprivate var listed: [(name: String, value: String)] {
    ((try? yaml()) ?? "").split(separator: "\n").compactMap { line in
      guard let colon = line.firstIndex(of: ":") else { return nil }
      let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
      return (String(line[..<colon]), value.isEmpty ? "–" : value)
    }
  }
}
