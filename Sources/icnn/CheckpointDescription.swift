import Datasets
import Foundation
import Interpretability
import Networks
import Training
import Weights

/// What `icnn info` tells of a checkpoint.
struct CheckpointDescription: Encodable {
  /// Filters below one mask.
  struct Filters: Encodable {
    /// The mask.
    let layer: String
    /// Filters of each class that has some; the class is the one whose images activated them most.
    let counts: [String: Int]
    /// Filters that were never active.
    let unassigned: Int
    /// Class of every filter, null for those.
    let categories: [String?]

    init(_ layer: InterpretableMask, outputs: Int, classNames: [String]) {
      self.layer = layer.name
      categories = FilterCategories.of(layer, outputs: outputs).map { $0.map { classNames[$0] } }
      counts = Dictionary(categories.compactMap { $0 }.map { ($0, 1) }, uniquingKeysWith: +)
      unassigned = categories.count { $0 == nil }
    }
  }

  let checkpoint: String
  let written: Date?
  let checksums: [String: String]
  let formatVersion: Int
  let programVersion: String
  let step: Int
  let epoch: Int
  let stepInEpoch: Int
  let validationAccuracy: Double?
  let classes: [String]
  let dataFingerprint: String
  let preprocessing: WeightsSummary.Inputs
  let configuration: TrainingConfiguration
  let history: RunHistory?
  let network: NetworkSummary
  let filters: [Filters]

  /// Opens a checkpoint, verifying its checksums.
  ///
  /// - Parameter onDamaged: told of each damaged checkpoint that was passed over.
  /// - Throws: `CheckpointError`.
  init(_ path: String, onDamaged: (CheckpointError) -> Void) throws {
    let opened = try Checkpoint.open(path, onDamaged: onDamaged)
    let trained = try TrainedNetwork(opened)
    let state = opened.state
    checkpoint = opened.directory
    written = opened.written
    checksums = opened.checksums
    formatVersion = state.formatVersion
    programVersion = state.programVersion
    step = state.step
    epoch = state.epoch
    stepInEpoch = state.stepInEpoch
    validationAccuracy = state.validationAccuracy
    classes = state.classNames
    dataFingerprint = state.dataFingerprint
    preprocessing = WeightsSummary.Inputs(state.preprocessing)
    configuration = state.configuration
    history = RunHistory(checkpoint: opened.directory, step: state.step)
    network = NetworkSummary(trained.network)
    filters = trained.network.interpretableLayers.map {
      Filters($0, outputs: state.outputs, classNames: state.classNames)
    }
  }

  /// Everything for people, at most 100 columns wide where names and paths allow it.
  var text: String {
    let facts = origin + training + [("", "")] + size
    let lines = facts.map { name, value in
      (name.padding(toLength: 14, withPad: " ", startingAt: 0) + value).trimmed
    }
    let masks = filters.map { "\nfilters below \($0.layer)\n" + wrapped(counts(of: $0), indent: 2) }
    return (lines + ["\n\(NetworkTable(network))"] + masks).joined(separator: "\n")
  }

  private var origin: [(String, String)] {
    var facts = [
      ("checkpoint", checkpoint), ("checksums", "right: \(checksums.keys.sorted().joined(separator: ", "))"),
    ]
    if let written { facts.append(("written", written.ISO8601Format() + ", by icnn \(programVersion)")) }
    facts.append(("position", "step \(step), epoch \(epoch)"))
    facts.append(("validation", validationAccuracy.map { "accuracy \($0.fixed(4))" } ?? "none yet"))
    facts.append(("data", "\(configuration.data), fingerprint \(dataFingerprint)"))
    facts.append(("classes", wrapped(classes.joined(separator: ", "), indent: 14).trimmed))
    facts.append(("weights", configuration.initialWeights.map { "began with \($0)" } ?? "from scratch"))
    return facts
  }

  private var training: [(String, String)] {
    let c = configuration
    let length = c.steps.map { "\($0) steps" } ?? "\(c.epochs ?? 0) epochs"
    var facts = [
      (
        "training",
        "\(length), \(c.batchSize) images a step, learning rate \(c.learningRate ?? 0) \(c.schedule.rawValue), "
          + "seed \(c.seed)"
      )
    ]
    if c.interpretable {
      let scale = c.maskScale == .unit ? "" : ", mask scale \(c.maskScale.rawValue)"
      facts.append(
        (
          "formulation",
          "\(c.formulation.rawValue), \(c.filterGradient.rawValue), filter loss \(c.filterLoss.rawValue)\(scale)"
        ))
    }
    guard let history else { return facts }
    facts += history.starts.map { start in
      let ranks = start.ranks == 1 ? "1 rank" : "\(start.ranks) ranks"
      return (
        "from step \(start.step)",
        "\(ranks), \(start.threads) threads each, \(start.isa), icnn \(start.version)"
      )
    }
    facts.append(("time", "\(history.seconds.fixed(0)) s in training steps"))
    return facts
  }

  private var size: [(String, String)] {
    let inputs = preprocessing
    let kind = configuration.interpretable ? "interpretable" : "ordinary"
    let widths = configuration.widths?.isEmpty == false ? ", of other widths than published" : ""
    return [
      ("network", "\(network.name), \(kind)\(widths)"),
      ("input", "\(inputs.imageSize) × \(inputs.imageSize) pixels, RGB in 0…255: \(inputs.formula)"),
      (
        "output",
        "\(network.outputs) logit\(network.outputs == 1 ? "" : "s"), \(configuration.loss.rawValue)"
      ),
      (
        "cost",
        "\(NetworkTable.grouped(network.parameters)) parameters, "
          + "\(NetworkTable.scaled(2 * network.multiplyAdds))FLOP an image"
      ),
    ]
  }

  private func counts(of filters: Filters) -> String {
    let known = classes.filter { filters.counts[$0] != nil }.map { "\($0) \(filters.counts[$0] ?? 0)" }
    return (known + (filters.unassigned == 0 ? [] : ["none \(filters.unassigned)"])).joined(separator: ", ")
  }

  /// Words in lines of at most 100 columns, each indented.
  private func wrapped(_ text: String, indent: Int) -> String {
    let blanks = String(repeating: " ", count: indent)
    var lines = [blanks]
    for word in text.split(separator: " ") {
      let line = lines[lines.count - 1]
      if line.count + word.count + 1 > 100 && line != blanks { lines.append(blanks) }
      lines[lines.count - 1] += (lines[lines.count - 1] == blanks ? "" : " ") + word
    }
    return lines.joined(separator: "\n")
  }
}

extension String {
  /// Without blanks at both ends.
  fileprivate var trimmed: String { trimmingCharacters(in: .whitespaces) }
}
