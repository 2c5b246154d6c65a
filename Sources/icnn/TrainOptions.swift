import ArgumentParser
import Datasets
import Networks
import Training

extension TrainingConfiguration.LossName: ExpressibleByArgument {}
extension InterpretableOptions.Formulation: ExpressibleByArgument {}
extension InterpretableOptions.FilterGradient: ExpressibleByArgument {}
extension InterpretableOptions.MaskScale: ExpressibleByArgument {}
extension InterpretableOptions.Normalizer: ExpressibleByArgument {}
extension TrainingConfiguration.FilterLossForm: ExpressibleByArgument {}
extension TrainingConfiguration.PreprocessingSource: ExpressibleByArgument {}
extension TrainingConfiguration.Schedule: ExpressibleByArgument {}
extension TrainingConfiguration.BatchNormalizationScope: ExpressibleByArgument {}
extension TrainingConfiguration.ConvolutionMode: ExpressibleByArgument {}
extension Recomputation: ExpressibleByArgument {}
extension Preprocessing.MeanKind: ExpressibleByArgument {}

/// The flags of `icnn train` that set a `TrainingConfiguration`; what is not given keeps the file's value or the
/// default.
struct TrainOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("YAML file with these options under the same names; flags win.", valueName: "file"))
  var config: String?

  @Option(help: ArgumentHelp("Data set: DIR/images/CLASS/FILE.jpg or DIR/CLASS/FILE.jpg.", valueName: "dir"))
  var data: String?
  @Option(
    help:
      "alexnet, caffe-alexnet, vgg-m, vgg-s, vgg16, resnet18, resnet50, densenet121 or compact. (default: compact)"
  )
  var network: String?
  @Flag(inversion: .prefixedNo, help: "Masks and filter loss. (default: --interpretable)") var interpretable:
    Bool?
  @Flag(help: "The ordinary twin: the same as --no-interpretable.") var ordinary = false
  @Option(help: ArgumentHelp("Single-category training: this class against all others.", valueName: "name"))
  var positiveClass: String?
  @Option(
    help: ArgumentHelp(
      "Single-category training: positives are repeated until there are so many for each counter-example; 0: none is. (default: 3)",
      valueName: "n"))
  var positivesPerCounterExample: Int?
  @Option(help: "softmax or logistic. (default: softmax)") var loss: TrainingConfiguration.LossName?
  @Option(
    help: ArgumentHelp("Side of the square input, in pixels. (default: the network's own)", valueName: "n"))
  var imageSize: Int?
  @Option(
    help: ArgumentHelp(
      "Safetensors, PyTorch or MatConvNet file, or a checkpoint; layers are matched by name and shape.",
      valueName: "file"))
  var initialWeights: String?
  @Option(
    help: "How images become inputs: as the initial weights say (weights) or measured. (default: weights)")
  var preprocessing: TrainingConfiguration.PreprocessingSource?

  @Option(help: "paper (equations of CVPR 2018), released (the authors' code) or corrected. (default: paper)")
  var formulation: InterpretableOptions.Formulation?
  @Option(
    help:
      "scaled (scores of scaled maps, a share of the task gradient), literal (the paper's λ) or off (masks only). (default: scaled)"
  )
  var filterLoss: TrainingConfiguration.FilterLossForm?
  @Option(help: "Scaled form: mean of the maps' maxima at which scores are taken. (default: 10)")
  var scoreScale: Double?
  @Option(
    help:
      "Scaled form: RMS of the filter gradient over that of the task gradient when it begins; it falls as 1/t to a twentieth. (default: 0.75)"
  )
  var filterGradientShare: Double?
  @Option(
    help:
      "Scaled form: epochs before it begins. (default: a third of the epochs; none with --initial-weights)")
  var filterLossWarmupEpochs: Double?
  @Option(help: "single-term, exact or exact-constant-z. (default: single-term)")
  var filterGradient: InterpretableOptions.FilterGradient?
  @Option(help: "unit, tau (the paper's literal mask) or none (the filter loss alone). (default: unit)")
  var maskScale: InterpretableOptions.MaskScale?
  @Option(help: "batch or running: maps that the normalisers run over. (default: batch)")
  var normalizer: InterpretableOptions.Normalizer?
  @Option(help: "Literal form: scale of the filter loss's weight. (default: 1; released: 0.1)")
  var filterLossWeight: Double?
  @Flag(help: "Single-category training: filters may belong to the counter-examples too.")
  var negativeFilters = false

  @Option(help: "Passes over the training images. (default: the network's own)") var epochs: Int?
  @Option(help: "Optimiser steps; overrides --epochs.") var steps: Int?
  @Option(help: "Images per step on all ranks together. (default: 32)") var batchSize: Int?
  @Option(help: "Parts into which a batch is cut to save memory. (default: 1)") var accumulate: Int?
  @Option(
    help: ArgumentHelp(
      "Segments of layers, 2 or more, or auto: keep only their last outputs, compute the others twice. (default: none)",
      valueName: "n"))
  var recompute: Recomputation?
  @Option(help: "Highest learning rate. (default: the network's own)") var learningRate: Double?
  @Option(help: "Momentum. (default: 0.9)") var momentum: Double?
  @Option(help: "L2 decay. (default: the network's own)") var weightDecay: Double?
  @Option(help: "constant, step, cosine or log-spaced. (default: cosine)")
  var schedule: TrainingConfiguration.Schedule?
  @Option(help: "Linear warm-up, in epochs. (default: 1)") var warmupEpochs: Double?
  @Option(help: "Step schedule: epochs between drops by ten. (default: 10)") var stepEpochs: Int?
  @Option(help: "Dropout probability. (default: the network's own)") var dropout: Double?
  @Option(
    help: "Batch-norm statistics over the global batch or each rank's: global or local. (default: global)")
  var batchNorm: TrainingConfiguration.BatchNormalizationScope?
  @Option(help: "auto (Winograd's convolutions where they are faster) or exact (none). (default: auto)")
  var convolution: TrainingConfiguration.ConvolutionMode?

  @Option(help: "Mean that is subtracted: pixel, channel or none. (default: pixel)")
  var mean: Preprocessing.MeanKind?
  @Flag(inversion: .prefixedNo, help: "Random horizontal flips. (default: --flip)") var flip: Bool?
  @Option(help: "Random crops: margin as a share of the input size. (default: 0.125)") var cropMargin: Double?
  @Option(
    help: "Random sizes of these crops: factors from 1 minus to 1 plus this. (default: the network's own)")
  var scaleJitter: Double?
  @Option(
    help:
      "Random brightness, contrast, saturation: factors from 1 minus to 1 plus this. (default: the network's own)"
  )
  var colorJitter: Double?
  @Flag(help: "Leave unreadable images out instead of refusing to start.") var skipBadImages = false
  @Option(help: "Threads that decode images, per rank. (default: 2)") var loaderThreads: Int?

  @Option(help: "Seed of every random number. (default: 1)") var seed: UInt64?
  @Option(help: "Epochs between validations. (default: 1)") var validateEvery: Int?
  @Option(help: "Steps between checkpoints, or 'epoch'. (default: epoch)") var checkpointEvery: String?
  @Option(help: "Checkpoints kept. (default: 3)") var keepCheckpoints: Int?
  @OptionGroup var exchange: ExchangeOptions

  /// Defaults ← file ← flags.
  func configuration() throws -> TrainingConfiguration {
    var c = try config.map { try TrainingConfiguration(yamlFile: $0) } ?? TrainingConfiguration()
    set(&c.data, data)
    set(&c.network, network)
    set(&c.interpretable, interpretable)
    if ordinary { c.interpretable = false }
    set(&c.positiveClass, positiveClass)
    set(&c.positivesPerCounterExample, positivesPerCounterExample)
    set(&c.loss, loss)
    set(&c.imageSize, imageSize)
    set(&c.initialWeights, initialWeights)
    set(&c.preprocessing, preprocessing)
    set(&c.formulation, formulation)
    set(&c.filterLoss, filterLoss)
    set(&c.scoreScale, scoreScale)
    set(&c.filterGradientShare, filterGradientShare)
    set(&c.filterLossWarmupEpochs, filterLossWarmupEpochs)
    set(&c.filterGradient, filterGradient)
    set(&c.maskScale, maskScale)
    set(&c.normalizer, normalizer)
    set(&c.filterLossWeight, filterLossWeight)
    if negativeFilters { c.negativeFilters = true }
    set(&c.epochs, epochs)
    set(&c.steps, steps)
    set(&c.batchSize, batchSize)
    set(&c.accumulate, accumulate)
    set(&c.recompute, recompute)
    set(&c.learningRate, learningRate)
    set(&c.momentum, momentum)
    set(&c.weightDecay, weightDecay)
    set(&c.schedule, schedule)
    set(&c.warmupEpochs, warmupEpochs)
    set(&c.stepEpochs, stepEpochs)
    set(&c.dropout, dropout)
    set(&c.batchNorm, batchNorm)
    set(&c.convolution, convolution)
    set(&c.mean, mean)
    set(&c.flip, flip)
    set(&c.cropMargin, cropMargin)
    set(&c.scaleJitter, scaleJitter)
    set(&c.colorJitter, colorJitter)
    if skipBadImages { c.skipBadImages = true }
    set(&c.loaderThreads, loaderThreads)
    set(&c.seed, seed)
    set(&c.validateEvery, validateEvery)
    if let checkpointEvery {
      c.checkpointEverySteps = checkpointEvery == "epoch" ? nil : Int(checkpointEvery)
      if checkpointEvery != "epoch" && c.checkpointEverySteps == nil {
        throw ValidationError(
          "--checkpoint-every takes a number of steps or 'epoch', not '\(checkpointEvery)'")
      }
    }
    set(&c.keepCheckpoints, keepCheckpoints)
    exchange.set(&c)
    return c
  }

  private func set<Value>(_ target: inout Value, _ value: Value?) {
    if let value { target = value }
  }

  private func set<Value>(_ target: inout Value?, _ value: Value?) {
    if let value { target = value }
  }
}
