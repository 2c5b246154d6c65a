import Communication
import Datasets
import Foundation
import Networks
import Tensors

/// Finds where NaN or infinity began, once a step has shown one.
///
/// Every rank runs its batch again, alone, and looks at each layer's output and gradients. Alone, because a NaN that
/// came from another rank through a sum then does not appear: the rank that made it is the one that finds it.
final class BreakdownDiagnosis: LayerObserver {
  private struct Found: Error {
    let description: String
  }

  private let network: Network
  private let loss: any Loss
  private let context: StepContext

  init(_ network: Network, _ loss: any Loss, _ context: StepContext) {
    self.network = network
    self.loss = loss
    self.context = context
  }

  /// The error that all ranks throw: it names step, rank and layer.
  func failure(_ batch: Batch, _ communicator: any Communicator) throws -> ExitError {
    let mine = locate(batch) ?? ""
    let places = try communicator.allGather(Array(mine.utf8)).enumerated().compactMap { rank, bytes in
      bytes.isEmpty ? nil : "rank \(rank): \(String(decoding: bytes, as: UTF8.self))"
    }
    let place =
      places.isEmpty ? "no single layer shows it when it is run again" : places.joined(separator: "; ")
    return ExitError(
      code: 70,
      "loss or gradients are not finite – step \(context.step + 1), epoch \(context.epoch), \(place) – "
        + "lower --learning-rate or --filter-loss-weight, or look with --debug; the last checkpoint is intact",
      isShared: true)
  }

  /// The first place at which this rank's own pass is not finite.
  private func locate(_ batch: Batch) -> String? {
    let exchange = context.exchange
    let keepsFactors = context.keepsFactors
    context.exchange = LocalStatistics()
    context.keepsFactors = false
    network.observer = self
    defer {
      context.exchange = exchange
      context.keepsFactors = keepsFactors
      network.observer = nil
    }
    do {
      network.store.zeroGradients()
      context.begin(batch, .training, share: context.gradientShare)
      if let bad = notFinite(batch.images.values) { throw Found(description: "input images (\(bad))") }
      let result = try loss.evaluate(network.forward(batch.images, context), context)
      guard result.sum.isFinite, let gradient = result.gradient else { return "the loss itself" }
      try network.backward(gradient, context) { _ in }
      return nil
    } catch let found as Found {
      return found.description
    } catch {
      return "the second pass failed: \(error)"
    }
  }

  func didForward(_ layer: any Layer, output: Tensor) throws {
    if let bad = notFinite(output.values) {
      throw Found(description: "output of layer \(layer.name) (\(bad))")
    }
  }

  func didBackward(_ layer: any Layer, inputGradient: Tensor?) throws {
    for parameter in layer.parameters {
      let gradients = UnsafeMutableBufferPointer(start: parameter.gradients, count: parameter.storedCount)
      if let bad = notFinite(gradients) { throw Found(description: "gradient of \(parameter.name) (\(bad))") }
    }
    if let dx = inputGradient, let bad = notFinite(dx.values) {
      throw Found(description: "input gradient of layer \(layer.name) (\(bad))")
    }
  }

  /// "3 of 4096 values", or nil if all are finite.
  private func notFinite(_ values: UnsafeMutableBufferPointer<Float>) -> String? {
    let count = values.reduce(0) { $0 + ($1.isFinite ? 0 : 1) }
    return count == 0 ? nil : "\(count) of \(values.count) values"
  }
}
