import Datasets
import Foundation
import Networks
import Tensors

/// Compares the gradients of a real network with finite differences of its loss, parameter by parameter.
///
/// Along the direction u = g/|g| of a parameter's own gradient the derivative of the loss is |g|; the central
/// difference (L(w + εu) − L(w − εu)) / 2ε is compared with it. One direction per parameter sees a wrong factor, a
/// missing term or a wrong index, at the price of two forwards. The filter loss is left out: its default gradient is,
/// by the paper's design, not the derivative of its value.
final class GradientVerification {
  /// The comparison of one parameter.
  struct Row {
    let parameter: String
    let analytic: Double
    let numeric: Double
    /// |a − n| / max(|a|, |n|).
    var relativeError: Double {
      numeric.isFinite ? abs(analytic - numeric) / max(abs(analytic), abs(numeric), 1e-12) : .infinity
    }
  }

  /// Kinks of ReLU and pooling and jumps of a mask's arg-max, crossed on the way, falsify a difference. They lie at a
  /// fixed distance, so one of three step sizes has to agree; a wrong gradient agrees at none.
  static let tolerance = 0.05

  private let network: Network
  private let loss: any Loss
  private let context: StepContext

  init(_ network: Network, _ loss: any Loss, _ context: StepContext) {
    self.network = network
    self.loss = loss
    self.context = context
  }

  /// Checks every parameter on one batch, calling `report` for each.
  func run(_ batch: Batch, report: (Row) -> Void) throws -> [Row] {
    network.store.zeroGradients()
    context.begin(batch, .training)
    _ = try value(batch, backward: true)
    let saved = network.store.parameters.map { $0.exportValues() }
    let gradients = network.store.parameters.map { $0.exportGradients() }
    var rows: [Row] = []
    for (index, parameter) in network.store.parameters.enumerated() {
      let norm = gradients[index].reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
      let weight = saved[index].reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
      guard norm > 0 else {
        rows.append(Row(parameter: parameter.name, analytic: 0, numeric: 0))
        continue
      }
      // A step that changes the loss by a thousandth: far above the rounding of Float, small against kinks.
      let largest = min(1e-3 / norm, max(weight, 1) * 2e-3)
      var best = Row(parameter: parameter.name, analytic: norm, numeric: .infinity)
      for epsilon in [largest, largest / 4, largest / 16] {
        var values: [Double] = []
        for sign in [1.0, -1.0] {
          parameter.importValues(
            zip(saved[index], gradients[index]).map { Float(Double($0) + sign * epsilon * Double($1) / norm) }
          )
          values.append(try value(batch, backward: false))
        }
        let row = Row(
          parameter: parameter.name, analytic: norm, numeric: (values[0] - values[1]) / (2 * epsilon))
        if row.relativeError < best.relativeError { best = row }
        if best.relativeError < Self.tolerance { break }
      }
      parameter.importValues(saved[index])
      report(best)
      rows.append(best)
    }
    return rows
  }

  /// Mean loss of the batch in training mode: dropout draws the same mask each time, because it draws by counter.
  private func value(_ batch: Batch, backward: Bool) throws -> Double {
    let result = try loss.evaluate(network.forward(batch.images, context), context)
    // Backward also ends what forward started (reductions, statistics), so it is always run.
    if !backward { network.store.zeroGradients() }
    try network.backward(result.gradient!, context) { _ in }
    return result.sum / Double(batch.globalBatchSize)
  }
}
