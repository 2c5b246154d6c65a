import Communication
import Datasets
import Foundation
import Networks
import Tensors
import Weights

/// A whole training run: data, network, epochs, validation, checkpoints, resume. The same lines on every rank.
public final class Trainer {
  /// How a run ended.
  public enum Outcome: Sendable, Equatable {
    /// All steps are done.
    case finished
    /// A signal asked for an end; a complete checkpoint was written.
    case interrupted
  }

  /// Steps of the whole run.
  public let totalSteps: Int
  /// Optimiser steps in one epoch; the last may take fewer images.
  public let stepsPerEpoch: Int
  /// What is trained.
  public var network: Network { step.network }
  /// The last validation, if there was one.
  public private(set) var lastValidation: EvaluationResult?
  /// Sees the report of every step.
  public var onStep: (StepReport) -> Void = { _ in }
  /// Keeps what some steps do when; normally nil.
  public private(set) var trace: StepTrace?

  let configuration: TrainingConfiguration
  let console: Console
  let step: TrainingStep
  let loader: BatchLoader
  private let communicator: any Communicator
  private let gradients: GradientExchange
  private let data: TrainingData
  private let evaluator: Evaluator
  private let schedule: LearningRateSchedule
  private let baseLearningRate: Double
  private let run: RunFolder?
  private let log: MetricsLog?
  private let tensorBoard: TensorBoardWriter?
  private let validationLoader: BatchLoader
  private var lastCheckpointStep = -1
  private var checkpointFailure: CheckpointError?
  private var stepSeconds = 0.0

  /// Prepares a run: opens the data, builds the network, loads the newest checkpoint if `resume`, and makes sure
  /// that all ranks agree. All ranks call it; it fails on all of them or on none.
  ///
  /// - Parameters:
  ///   - output: the run folder.
  ///   - requireCheckpoint: a resume that finds no checkpoint is an error and not a fresh start.
  ///   - rebuildIndex: list the data set anew, whatever its index says.
  public init(
    _ requested: TrainingConfiguration, output: String, resume: Bool, requireCheckpoint: Bool = false,
    rebuildIndex: Bool = false, _ communicator: any Communicator, _ console: Console
  ) throws {
    let (resolved, architecture) = try onAllRanks(communicator) {
      try requested.validate(ranks: communicator.size)
      return try requested.resolved()
    }
    try communicator.agree(on: [
      AgreementField("version", Version.current),
      AgreementField("configuration", resolved.yaml()),
    ])
    let (run, checkpoint) = try onAllRanks(communicator) { () throws -> (RunFolder?, Checkpoint?) in
      guard communicator.rank == 0 else { return (nil, nil) }
      // Before anything is made: what is missing may be a disk.
      if requireCheckpoint && Checkpoint.names(in: output + "/checkpoints").isEmpty {
        throw CheckpointError.missing(path: output)
      }
      let run = try RunFolder(output, resume: resume)
      guard resume else { return (run, nil) }
      return (run, try Checkpoint.newest(in: run.checkpoints) { console.warning("passed over: \($0)") })
    }
    let start = try StartingPoint(resolved, architecture, checkpoint, communicator)
    let configuration = start.configuration
    try onAllRanks(communicator) {
      if let checkpoint { try configuration.requireContinuation(of: checkpoint.state, checkpoint.directory) }
    }
    data = try TrainingData(
      configuration, imageSize: configuration.imageSize ?? architecture.imageSize,
      known: start.preprocessing, rebuildIndex: rebuildIndex, communicator, console)
    self.run = run
    self.configuration = try configuration.withFilterLossWarmup(trainingImages: data.task.training.count)
      .withBucketSize(architecture, classes: data.task.outputs, communicator, console)
    self.communicator = communicator
    self.console = console

    gradients = communicator.gradientExchange(configuration.reduction, configuration.gradientExchange)
    let network = architecture.build(
      self.configuration.networkOptions(outputs: data.task.outputs),
      arenas: gradients.arenas(factorImages: configuration.factorImages))
    try gradients.requireRoute()
    network.store.initialize(seed: configuration.seed)
    // Ranks of a node may share the values: nobody goes on while another still sets them.
    try communicator.barrier()
    network.recomputation = configuration.recompute
    let exchange: any StatisticsExchange =
      communicator.size > 1 ? RankStatistics(communicator) : LocalStatistics()
    let context = StepContext(exchange: exchange)
    context.seed = configuration.seed
    context.categoryCount = data.task.classNames.count
    context.labelShares = data.task.density.map(Double.init)
    let loss = configuration.taskLoss(outputs: data.task.outputs)
    step = TrainingStep(
      network, loss,
      MomentumSGD(
        network.store, momentum: Float(configuration.momentum),
        weightDecay: Float(configuration.weightDecay ?? architecture.weightDecay),
        share: gradients.updateShare),
      context, communicator, gradients, bucketBytes: self.configuration.bucketSize.bytes)
    evaluator = Evaluator(network, loss, context, communicator, classNames: data.task.classNames)
    loader = data.loader(.training, configuration, communicator)
    validationLoader = data.loader(.validation, configuration, communicator)
    context.batchesPerEpoch = loader.sampler.batchesPerEpoch
    stepsPerEpoch = (loader.sampler.batchesPerEpoch + configuration.accumulate - 1) / configuration.accumulate
    totalSteps = configuration.steps ?? (configuration.epochs ?? architecture.epochs) * stepsPerEpoch
    context.epochsInRun = Double(totalSteps) / Double(stepsPerEpoch)
    schedule = configuration.learningRateSchedule()
    baseLearningRate = configuration.learningRate ?? architecture.learningRate
    log = run.map { MetricsLog(path: $0.metrics) { console.warning($0) } }
    tensorBoard = run.map {
      TensorBoardWriter(folder: $0.path, firstStep: (checkpoint?.state.step ?? 0) + 1) { console.warning($0) }
    }

    try restore(checkpoint, start.weights)
    if let notice = start.notice { console.line(notice) }
    try requireAgreement()
    try onAllRanks(communicator) { try run?.write(self.configuration) }
    announce(checkpoint)
  }

  // MARK: the run

  /// Has a timeline of some steps written. All ranks call it, before `train`.
  public func setTrace(_ options: TraceOptions?) {
    trace = options.map { StepTrace($0, network, communicator, console) }
  }

  /// Trains from the present step to the last one. Same outcome on all ranks.
  ///
  /// - Throws: `ExitError` of code 74 at the very end if the last checkpoint could not be written, 70 for NaN.
  public func train() throws -> Outcome {
    let first = step.context.step
    loader.start(epoch: first / stepsPerEpoch + 1, batch: first % stepsPerEpoch * configuration.accumulate)
    while step.context.step < totalSteps {
      try trace?.stepBegins()
      let report = try runStep()
      if report.stopRequested {
        try save()
        try trace?.finish()
        try requireCheckpoint()
        console.line("stopped by a signal after step \(report.step); continue with --resume")
        log?.write("end", ["step": .integer(report.step), "reason": "signal"])
        return .interrupted
      }
      let done = step.context.step
      let endsEpoch = done % stepsPerEpoch == 0
      let epoch = (done - 1) / stepsPerEpoch + 1
      if (endsEpoch && epoch % configuration.validateEvery == 0) || done == totalSteps { try validate() }
      let isDue = configuration.checkpointEverySteps.map { done % $0 == 0 } ?? endsEpoch
      if isDue && done < totalSteps { try save() }
    }
    try save()
    communicator.heartbeat.enter(.ending, step: step.context.step)
    try trace?.finish()
    try requireCheckpoint()
    log?.write("end", ["step": .integer(step.context.step), "reason": "finished"])
    return .finished
  }

  /// At the end a checkpoint that could not be written is an error after all.
  private func requireCheckpoint() throws {
    guard let checkpointFailure else { return }
    throw ExitError(code: checkpointFailure.exitCode, checkpointFailure.description, isShared: true)
  }

  func runStep() throws -> StepReport {
    let index = step.context.step
    let inEpoch = index % stepsPerEpoch
    step.context.epoch = index / stepsPerEpoch + 1
    step.context.epochsDone = Double(index) / Double(stepsPerEpoch)
    let firstPart = inEpoch * configuration.accumulate
    let sampler = loader.sampler
    let partCount = min(configuration.accumulate, sampler.batchesPerEpoch - firstPart)
    let imageCount =
      sampler.positions(batch: firstPart + partCount - 1).upperBound
      - sampler.positions(batch: firstPart).lowerBound
    let waitedBefore = loader.waitSeconds
    let rate =
      baseLearningRate * schedule.factor(step: index, stepsPerEpoch: stepsPerEpoch, totalSteps: totalSteps)
    var report = try step.run(
      partCount: partCount, imageCount: imageCount, learningRate: rate,
      part: { _ in try loader.next()! }, recycle: loader.recycle)
    report.dataWaitSeconds = loader.waitSeconds - waitedBefore
    // The rate shown is a running mean, so that the time left does not jump.
    stepSeconds = stepSeconds == 0 ? report.times.total : 0.95 * stepSeconds + 0.05 * report.times.total
    log?.write(report)
    if report.step == 1 || report.step % TensorBoardWriter.stepInterval == 0 || report.step == totalSteps {
      tensorBoard?.write(report)
    }
    onStep(report)
    console.progress { report.progressLine(totalSteps: totalSteps, stepSeconds: stepSeconds) }
    return report
  }

  private func validate() throws {
    communicator.heartbeat.enter(.validation, step: step.context.step)
    validationLoader.start(epoch: 1, throughEpoch: 1)
    let sampler = tensorBoard.flatMap { _ in FeatureMapSampler(network, data.preprocessing) }
    let observer = network.observer
    network.observer = sampler
    defer { network.observer = observer }
    let result = try evaluator.run(validationLoader)
    lastValidation = result
    let done = step.context.step
    let epoch = (done - 1) / stepsPerEpoch + 1
    log?.write(
      "validation",
      [
        "step": .integer(done), "epoch": .integer(epoch), "loss": .number(result.loss),
        "accuracy": .number(result.accuracy), "binary_accuracy": .number(result.binaryAccuracy),
        "images": .integer(result.imageCount),
      ])
    if let tensorBoard {
      tensorBoard.write(result, step: done)
      tensorBoard.write(network, step: done)
      if let sampler { tensorBoard.write(sampler, step: done) }
      tensorBoard.flush()
    }
    console.line(
      "epoch \(epoch): validation accuracy \(result.accuracy.fixed(4)), loss \(result.loss.fixed(4)) "
        + "(step \(done)/\(totalSteps))")
  }

  // MARK: checkpoints

  /// Writes a checkpoint of the present step, unless there is one. Rank 0 writes, all wait for it.
  ///
  /// A disk that fails does not end the training: it is reported, the checkpoints before are intact. Weights that
  /// are not finite end it on all ranks.
  private func save() throws {
    let done = step.context.step
    communicator.heartbeat.enter(.checkpoint, step: done)
    tensorBoard?.flush()
    guard done != lastCheckpointStep else { return }
    var failure: CheckpointError?
    if let run {
      do throws(CheckpointError) {
        let checkpoint = try Checkpoint.write(
          state(), of: network, velocities: UnsafeBufferPointer(step.optimizer.velocities), run: run.path,
          keep: configuration.keepCheckpoints)
        log?.write("checkpoint", ["step": .integer(done), "path": .text(checkpoint.directory)])
      } catch {
        failure = error
      }
    }
    // The others learn whether it is safe to go on, and do not run ahead of a slow disk.
    let code = try communicator.allReduce([Double(failure?.exitCode ?? 0)], .maximum)[0]
    checkpointFailure = failure
    if code == 70 {
      throw ExitError(code: 70, failure?.description ?? "weights are not finite", isShared: true)
    }
    guard code == 0 else {
      console.warning(failure?.description ?? "a checkpoint cannot be written")
      checkpointFailure = failure ?? .cannotWrite(path: "checkpoints", reason: "rank 0 could not")
      return
    }
    lastCheckpointStep = done
  }

  private func state() -> CheckpointState {
    let done = step.context.step
    return CheckpointState(
      programVersion: Version.current, configuration: configuration, step: done,
      epoch: done / stepsPerEpoch + 1, stepInEpoch: done % stepsPerEpoch, classNames: data.task.classNames,
      outputs: data.task.outputs, parameterCount: network.store.parameterCount,
      preprocessing: data.preprocessing, dataFingerprint: String(data.folder.fingerprint, radix: 16),
      validationAccuracy: lastValidation?.accuracy)
  }

  /// Rank 0 reads the checkpoint or the initial weights; everybody gets the same bits.
  private func restore(_ checkpoint: Checkpoint?, _ weights: WeightsFile?) throws {
    let report = try onAllRanks(communicator) { () throws -> InitialWeights.Report? in
      guard communicator.rank == 0 else { return nil }
      if let checkpoint {
        try checkpoint.requireData(fingerprint: data.folder.fingerprint, classNames: data.task.classNames)
        try checkpoint.restore(network, velocities: step.optimizer.velocities)
        return nil
      }
      return try weights.map { try InitialWeights.load($0, into: network) }
    }
    if let report { console.line(report.description) }
    step.context.step = try Int(communicator.allReduce([Double(checkpoint?.state.step ?? 0)], .maximum)[0])
    guard communicator.size > 1 else { return }
    try communicator.broadcast(UnsafeMutableRawBufferPointer(network.store.values), root: 0)
    // Ranks of a node may share them: they then receive into one place what is there already.
    try communicator.broadcast(UnsafeMutableRawBufferPointer(step.optimizer.velocities), root: 0)
    for state in network.states {
      try communicator.broadcast(UnsafeMutableRawBufferPointer(state.values), root: 0)
    }
  }

  private func requireAgreement() throws {
    try communicator.agree(on: [
      AgreementField("data-set fingerprint", data.folder.fingerprint),
      AgreementField("classes", data.task.classNames.joined(separator: ", ")),
      AgreementField("preprocessing", data.preprocessing.checksum),
      AgreementField("network", network.signature),
      AgreementField("parameters", Fingerprint.of(UnsafeRawBufferPointer(network.store.values))),
      AgreementField("step", UInt64(step.context.step)),
    ])
  }

  private func announce(_ checkpoint: Checkpoint?) {
    let images = data.task.training.count
    console.line(
      "\(configuration.network), \(configuration.interpretable ? "interpretable" : "ordinary"), "
        + "\(network.store.parameterCount) parameters; \(images) training and \(data.task.validation.count) "
        + "validation images of \(data.task.classNames.count) classes; batch \(configuration.batchSize) on "
        + "\(communicator.placement(reproducible: configuration.reproducible)), "
        + "\(InstructionSet.current); \(totalSteps) steps"
        + (communicator.size == 1 ? "" : "; gradients: \(gradients.route)"))
    if configuration.interpretable && configuration.formulation == .paper
      && configuration.filterLoss == .scaled,
      let warmup = configuration.filterLossWarmupEpochs, warmup > 0
    {
      console.line("the filter loss begins after \(warmup.short) epochs")
    }
    // The first batch is the largest.
    let share = loader.sampler.positions(batch: 0, rank: communicator.rank, rankCount: communicator.size)
    network.prepare(batchSize: share.count, step.context)
    if let memory = network.memorySummary { console.line(memory.description) }
    if let checkpoint {
      console.line("resumed at step \(checkpoint.state.step) from \(checkpoint.directory)")
    }
    log?.write(
      "start",
      [
        "version": .text(Version.current), "network": .text(configuration.network),
        "parameters": .integer(network.store.parameterCount), "step": .integer(step.context.step),
        "steps": .integer(totalSteps), "steps_per_epoch": .integer(stepsPerEpoch),
        "ranks": .integer(communicator.processCount), "threads": .integer(CPU.threadCount),
        "isa": .text("\(InstructionSet.current)"), "reduction": .text("\(gradients.route)"),
        "training_images": .integer(images),
        "validation_images": .integer(data.task.validation.count),
        "data_fingerprint": .text(String(data.folder.fingerprint, radix: 16)),
      ])
  }
}
