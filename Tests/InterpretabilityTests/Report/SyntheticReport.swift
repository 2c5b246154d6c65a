import Datasets
import Foundation
import Interpretability

/// Reports with made-up figures and drawn pictures. The same for the same arguments.
struct SyntheticReport {
  /// Names that would be markup if they were not escaped; the last one is quotes that an accent follows.
  static let categories = [
    "badger", "crane", "dormouse", "elk", "<script>alert(1)</script>", "\"\u{301} onload=\"x",
  ]

  private let pictures: [RGBImage]
  private var state: UInt64 = 1

  /// Draws the pictures: 48 of `side` pixels.
  init(side: Int = 128) {
    let parts = SyntheticParts(SyntheticParts.Options(categories: 4, imagesPerCategory: 12, imageSize: side))
    pictures = (0..<48).map { parts.picture(category: $0 % 4, index: $0 / 4).image }
  }

  /// An interpretable network and, if asked for, its ordinary twin.
  mutating func contents(filters: Int, mistakes: Int, comparing: Bool = true) -> ReportContents {
    var networks = [network("interpretable", filters: filters, mistakes: mistakes, quality: 0.8)]
    if comparing { networks.append(network("ordinary", filters: filters, mistakes: mistakes, quality: 0.35)) }
    var contents = ReportContents(
      title: "What the filters of compact learned",
      subtitle: "synthetic parts, 6 classes · layer conv5 · icnn 0.1.0 · 25 November 2026", networks: networks
    )
    contents.summary = [
      .init("Accuracy, interpretable", "94.2 %", remark: "of 600 validation images"),
      .init("Accuracy, ordinary", "93.1 %", remark: "of 600 validation images"),
      .init("Filters with a part", "\(filters * 4 / 5)", remark: "of \(filters)"),
      .init("Training", "60 epochs", remark: "4 ranks, 38 minutes"),
    ]
    contents.configuration = [
      .init("network", "compact"), .init("formulation", "paper"), .init("batch-size", "32"),
      .init("learning-rate", "0.02"), .init("data", "/data/<parts> & more"),
    ]
    contents.notes = ["The class elk has only 12 annotated images: its instabilities are rough."]
    contents.metrics = metrics(contents.networks.map(\.name))
    return contents
  }

  private func metrics(_ names: [String]) -> [ReportContents.Metric] {
    let figures: [(String, String, ReportContents.Metric.Direction, [[Double]])] = [
      (
        "Location instability",
        "How far a filter's peak strays from the part, relative to the image's diagonal.",
        .lowerIsBetter, [[0.091, 0.083, 0.098, 0.214, 0.158], [0.146, 0.139, 0.152, 0.214, 0.158]]
      ),
      (
        "Part interpretability", "Share of images on which a filter's region covers its part.",
        .higherIsBetter,
        [[0.654, 0.61, 0.7, 0.12, 0.2], [0.348, 0.3, 0.39, 0.12, 0.2]]
      ),
      (
        "Purity", "Share of its own class in a filter's activation.", .higherIsBetter,
        [[0.87, 0.84, 0.9, 0.167, .nan], [0.41, 0.38, 0.44, 0.167, .nan]]
      ),
    ]
    return figures.map { name, explanation, direction, values in
      ReportContents.Metric(
        name: name, explanation: explanation, direction: direction,
        estimates: zip(names, values).map { network, values in
          var estimate = ReportContents.Metric.Estimate(network: network, value: .value(values[0]))
          estimate.lower = .value(values[1])
          estimate.upper = .value(values[2])
          estimate.random = .value(values[3])
          estimate.centre = ReportNumber(values[4], or: "purity does not depend on places")
          return estimate
        })
    }
  }

  private mutating func network(_ name: String, filters: Int, mistakes: Int, quality: Double)
    -> ReportContents.Network
  {
    var network = ReportContents.Network(name: name)
    network.curves = curves(quality, hasFilterLoss: quality > 0.5)
    network.filters = (0..<filters).map { filter($0, quality) }
    network.mistakes = (0..<mistakes).map { mistake($0, filters) }
    return network
  }

  private mutating func curves(_ quality: Double, hasFilterLoss: Bool) -> TrainingCurves {
    var curves = TrainingCurves()
    let steps = Array(stride(from: 1, through: 1200, by: 1))
    let decay = steps.map { exp(-Double($0) / (180 / quality)) }
    func curve(_ steps: [Int], _ values: [Double]) -> TrainingCurves.Curve {
      var curve = TrainingCurves.Curve()
      curve.steps = steps
      curve.values = values
      return curve
    }
    curves.loss = curve(steps, decay.map { 0.15 + 1.7 * $0 + uniform() * (0.05 + 0.3 * $0) })
    curves.accuracy = curve(steps, decay.map { min(1, 0.97 - 0.8 * $0 + (uniform() - 0.5) * 0.1) })
    curves.filterLoss = curve(steps, decay.map { hasFilterLoss ? -0.4 + 0.38 * $0 + uniform() * 0.03 : 0 })
    curves.learningRate = curve(steps, steps.map { 0.01 * (1 + cos(Double($0) / 1200 * .pi)) })
    let epochs = Array(stride(from: 60, through: 1200, by: 60))
    curves.validationLoss = curve(
      epochs, epochs.map { 0.3 + 1.5 * exp(-Double($0) / 200) + uniform() * 0.05 })
    curves.validationAccuracy = curve(
      epochs, epochs.map { 0.93 - 0.7 * exp(-Double($0) / 200) - uniform() * 0.02 })
    return curves
  }

  private mutating func filter(_ index: Int, _ quality: Double) -> ReportContents.Filter {
    let isSilent = index % 41 == 40
    let hasPart = !isSilent && uniform() < quality
    let category = Self.categories[index * Self.categories.count / 97 % Self.categories.count]
    return ReportContents.Filter(
      index: index, category: isSilent ? nil : category,
      purity: isSilent
        ? .missing(reason: "the filter fires on no image") : .value(quality * (0.7 + uniform() * 0.5)),
      instability: ReportNumber(
        isSilent ? .nan : 0.06 + (1 - quality) * 0.12 + uniform() * 0.06, or: "the filter fires on no image"),
      part: hasPart ? ["head", "tail", "left front leg"][index % 3] : nil,
      partRate: hasPart
        ? .value(quality * (0.5 + uniform() * 0.5)) : .missing(reason: "no part is found often enough"),
      pictures: isSilent
        ? []
        : (0..<4).map {
          ReportPicture(
            photograph: pictures[(index * 7 + $0 * 5) % pictures.count], longestSide: 80,
            description: "Image \($0 + 1) of the four that move filter \(index) most")
        })
  }

  private mutating func mistake(_ index: Int, _ filters: Int) -> ReportContents.Mistake {
    let actual = Self.categories[index % Self.categories.count]
    let predicted = Self.categories[(index + 1 + index / 7 % 4) % Self.categories.count]
    let confidence = 0.5 + uniform() * 0.45
    let votes = { (sign: Double, first: Int) in
      (0..<4).map {
        ReportContents.Mistake.Vote(
          filter: (first + $0 * 13) % max(filters, 1),
          meaning: ["head of \(predicted)", "tail", "leg"][$0 % 3],
          weight: .value(sign * (2.4 - Double($0) * 0.5)))
      }
    }
    return ReportContents.Mistake(
      image: "images/\(actual)/\(actual)-\(index).png",
      picture: ReportPicture(
        photograph: pictures[index % pictures.count],
        description: "A \(actual) that is taken for a \(predicted)"),
      trueClass: actual, predictedClass: predicted,
      probabilities: [
        .init(predicted, .value(confidence)), .init(actual, .value((1 - confidence) * 0.8)),
        .init("another", .value((1 - confidence) * 0.2)),
      ], votesFor: votes(1, index), votesAgainst: index % 9 == 8 ? [] : votes(-0.6, index + 5))
  }

  /// In 0..<1; Knuth's MMIX generator.
  private mutating func uniform() -> Double {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Double(state >> 11) / Double(1 << 53)
  }
}
