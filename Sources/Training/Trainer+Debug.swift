import Datasets
import Networks

extension Trainer {
  /// The single-process debug mode: a few steps whose every layer is checked and described, to find the bad one.
  ///
  /// Prints a table of all layers per step: output, gradient, weights. It ends with code 70 at the first array that
  /// is not finite or has a wrong shape, after printing the table as far as it goes.
  /// - Parameters:
  ///   - steps: how many.
  ///   - checkGradients: compare the gradients of all parameters with finite differences first.
  public func debug(steps: Int = 3, checkGradients: Bool) throws {
    let inspector = LayerInspector()
    loader.start(epoch: 1)
    if checkGradients { try verifyGradients() }
    network.observer = inspector
    step.context.keepsFactors = false
    network.fuseRectifiers(false)
    defer {
      network.observer = nil
      step.context.keepsFactors = true
      network.fuseRectifiers()
    }
    for _ in 0..<min(steps, totalSteps) {
      inspector.begin()
      do {
        let report = try runStep()
        console.line(
          "step \(report.step): loss \(report.loss.fixed(6)), accuracy \(report.accuracy.fixed(3))")
      } catch {
        console.line(inspector.table)
        throw error
      }
      console.line(inspector.table)
    }
  }

  /// Checks a copy of the network without filter loss, on the first batch.
  private func verifyGradients() throws {
    guard let batch = try loader.next() else { return }
    var withoutFilterLoss = configuration
    withoutFilterLoss.filterLossWeight = 0
    let copy = try withoutFilterLoss.resolved().1.build(
      withoutFilterLoss.networkOptions(outputs: network.outputs))
    _ = copy.store.values.update(fromContentsOf: network.store.values)
    console.line("gradient of the task loss against finite differences, one direction per parameter")
    step.context.epoch = 1
    let rows = try GradientVerification(copy, step.loss, step.context).run(batch) { row in
      let verdict = row.relativeError < GradientVerification.tolerance ? "ok" : "DIFFERS"
      console.line(
        "  \(row.parameter): analytic \(row.analytic.short), numeric \(row.numeric.short), "
          + "relative error \(row.relativeError.short) \(verdict)")
    }
    loader.recycle(batch)
    loader.start(epoch: 1)
    let wrong = rows.filter { $0.relativeError >= GradientVerification.tolerance }
    guard wrong.isEmpty else {
      throw ExitError(
        code: 70,
        "\(wrong.count) of \(rows.count) gradients differ from finite differences – first \(wrong[0].parameter) – "
          + "look at that layer's backward")
    }
    console.line("all \(rows.count) gradients agree")
  }
}
