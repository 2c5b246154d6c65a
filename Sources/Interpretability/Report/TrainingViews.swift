/// A plot in the template `page`.
struct PlotView {
  let title: String, svg: String

  /// Loss, accuracy, filter loss and learning rate, as far as they were logged.
  static func all(_ networks: [ReportContents.Network]) -> [PlotView] {
    typealias Curve = KeyPath<TrainingCurves, TrainingCurves.Curve>
    let plots: [(title: String, training: Curve, validation: Curve?)] = [
      ("Loss", \.loss, \.validationLoss), ("Accuracy", \.accuracy, \.validationAccuracy),
      ("Filter loss", \.filterLoss, nil), ("Learning rate", \.learningRate, nil),
    ]
    return plots.enumerated().compactMap { index, plot in
      var lines: [LinePlot.Line] = []
      for (number, network) in networks.enumerated() {
        let training = network.curves[keyPath: plot.training]
        // An ordinary network has no filter loss: its zeros say nothing.
        if plot.training == \.filterLoss && training.values.allSatisfy({ $0 == 0 }) { continue }
        lines.append(
          LinePlot.Line(
            name: LineName.training(network.name), network: number, stroke: .training, curve: training))
        if let validation = plot.validation {
          lines.append(
            LinePlot.Line(
              name: LineName.validation(network.name), network: number, stroke: .validation,
              curve: network.curves[keyPath: validation]))
        }
      }
      return LinePlot(title: plot.title, lines: lines).map {
        PlotView(title: plot.title, svg: $0.svg(identifier: "plot-\(index)"))
      }
    }
  }
}

/// An entry of the plots' legend.
struct LineName {
  let name: String, stroke: String
  let network: Int
  let isValidation: Bool

  static func training(_ network: String) -> String { "\(network), training" }
  static func validation(_ network: String) -> String { "\(network), validation" }

  static func all(_ networks: [ReportContents.Network]) -> [LineName] {
    networks.enumerated().flatMap { number, network in
      var names: [LineName] = []
      if !network.curves.loss.steps.isEmpty {
        names.append(
          LineName(
            name: training(network.name), stroke: LinePlot.Stroke.training.rawValue, network: number,
            isValidation: false))
      }
      if !network.curves.validationLoss.steps.isEmpty {
        names.append(
          LineName(
            name: validation(network.name), stroke: LinePlot.Stroke.validation.rawValue, network: number,
            isValidation: true))
      }
      return names
    }
  }
}
