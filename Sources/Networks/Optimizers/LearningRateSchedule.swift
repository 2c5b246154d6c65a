import Glibc

/// How the learning rate runs through a training: a factor on the base rate, a pure function of the step.
///
/// Nothing is remembered between steps, so a resumed training has the rates of an uninterrupted one.
public enum LearningRateSchedule: Equatable, Sendable, Codable {
  /// The base rate throughout.
  case constant
  /// Multiplied by `factor` after every `epochs` epochs.
  case step(factor: Double, epochs: Int)
  /// One rate per epoch, evenly spaced in the logarithm from the base rate in the first epoch to base · `final` in
  /// epoch number `epochs`, and that afterwards. The authors' networks use base · 10⁻¹ over 10 of 50 epochs (single
  /// category) or over all 80 (several).
  case logarithmic(final: Double, epochs: Int)
  /// A linear rise over the first `warmupEpochs` (the first step already above zero), then half a cosine from the base
  /// rate to base · `final` at the last step (Loshchilov & Hutter, ICLR 2017).
  case cosine(final: Double, warmupEpochs: Double)

  /// Factor on the base rate.
  /// - Parameters:
  ///   - step: optimiser steps before this one, from 0.
  ///   - stepsPerEpoch: at least 1.
  ///   - totalSteps: length of the training; only the cosine looks at it.
  public func factor(step: Int, stepsPerEpoch: Int, totalSteps: Int) -> Double {
    precondition(
      step >= 0 && stepsPerEpoch > 0, "LearningRateSchedule: step \(step), \(stepsPerEpoch) steps per epoch")
    let epoch = step / stepsPerEpoch
    switch self {
    case .constant:
      return 1
    case .step(let factor, let epochs):
      precondition(epochs > 0, "LearningRateSchedule: a step every \(epochs) epochs")
      return pow(factor, Double(epoch / epochs))
    case .logarithmic(let final, let epochs):
      precondition(epochs > 0 && final > 0, "LearningRateSchedule: factor \(final) after \(epochs) epochs")
      guard epochs > 1 else { return final }
      return pow(final, Double(min(epoch, epochs - 1)) / Double(epochs - 1))
    case .cosine(let final, let warmupEpochs):
      let warmupSteps = Int((warmupEpochs * Double(stepsPerEpoch)).rounded())
      if step < warmupSteps { return Double(step + 1) / Double(warmupSteps + 1) }
      let decaySteps = max(totalSteps - 1 - warmupSteps, 1)
      let progress = min(Double(step - warmupSteps) / Double(decaySteps), 1)
      return final + (1 - final) * 0.5 * (1 + cos(.pi * progress))
    }
  }
}
