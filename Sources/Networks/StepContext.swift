import Tensors

/// What the layers must know of the step they are in. One object lives as long as the training; its fields are
/// set anew for every batch.
public final class StepContext {
  /// What a pass is for.
  public enum Mode: Sendable {
    /// Dropout, batch statistics, filter loss; a backward follows.
    case training
    /// Running statistics, masks on, no filter loss; nothing is kept.
    case evaluation
    /// The function of evaluation, kept so that a backward can follow: gradients of what the network says.
    case attribution
  }

  /// Training, evaluation or attribution.
  public var mode = Mode.training
  /// Seed of the run; with `epoch` and `sampleKeys` it names every random stream.
  public var seed: UInt64 = 1
  /// Epoch, from 1: the t of λ = weight · (1/t) · mean max x.
  public var epoch = 1
  /// Epochs before this step, with fractions.
  public var epochsDone = 0.0
  /// Epochs of the whole run, with fractions.
  public var epochsInRun = 1.0
  /// Optimiser steps before this one.
  public var step = 0
  /// Batches in an epoch; the time constant of the running statistics.
  public var batchesPerEpoch = 1
  /// Images of the batch on all ranks.
  public var globalBatchSize = 0
  /// Place of this rank's first image in the global batch.
  public var shareOffset = 0
  /// Share of this batch in the optimiser step: 1, or less when a step accumulates the gradients of several batches.
  /// Losses and filter losses scale their gradients by it.
  public var gradientShare: Double = 1
  /// Whether backward adds to what the gradients hold, or sets them. False in the first part of an optimiser step: a layer
  /// that `overwritesGradients` then writes each gradient once, and reads none; all others find zeros to add to.
  public var addsToGradients = true
  /// Whether backward keeps the factors of gradients for the update, where there is room for them, or writes the gradients
  /// for others to look at.
  public var keepsFactors = true
  /// Per local image, its place in the global order of the epoch: the name of its dropout stream.
  public var sampleKeys: [UInt64] = []
  /// Per local image, its class: 0..<categories. In single-category training 0 is the category, 1 everything else.
  public var categories: [Int32] = []
  /// ±1 per local image and network output, [N, L] row-major.
  public var signs: [Float] = []
  /// Number of classes that `categories` may hold.
  public var categoryCount = 1
  /// Share of +1 per network output over the whole data set, [L]; the ρ of the released formulation.
  public var labelShares: [Double] = []
  /// True while a forward of this step is computed once more: see `Recomputation`.
  public internal(set) var isRecomputing = false
  /// Sees the layers inside composites; the network sets it for each pass.
  var observer: (any LayerObserver)?
  /// Reductions over all ranks.
  public var exchange: any StatisticsExchange
  /// Memory for gradients of activations.
  public let gradientPool = GradientPool()
  /// Scratch memory of the operations.
  public let workspace = Workspace()

  /// A context for one process unless another exchange is given.
  public init(exchange: any StatisticsExchange = LocalStatistics()) { self.exchange = exchange }

  /// True while training.
  public var isTraining: Bool { mode == .training }
  /// True if layers must keep what backward needs.
  public var hasBackward: Bool { mode != .evaluation }
}
