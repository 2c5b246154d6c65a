import Communication
import Datasets
import Networks
import Tensors

/// One optimiser step: the lines that the whole program exists to repeat. One process and a thousand run the same.
public final class TrainingStep {
  /// What is trained.
  public let network: Network
  /// What the layers know of the step.
  public let context: StepContext
  /// Momentum SGD over the parameter arena.
  public let optimizer: MomentumSGD
  /// The loss at the top.
  public let loss: any Loss
  private let reducer: GradientReducer
  private let totals: StepTotals
  private let communicator: any Communicator

  /// A step of `network` on the communicator's ranks, whose gradients `exchange` adds up.
  public init(
    _ network: Network, _ loss: any Loss, _ optimizer: MomentumSGD, _ context: StepContext,
    _ communicator: any Communicator, _ exchange: GradientExchange, bucketBytes: Int
  ) {
    self.network = network
    self.loss = loss
    self.optimizer = optimizer
    self.context = context
    self.communicator = communicator
    reducer = GradientReducer(exchange, network.store, bucketBytes: bucketBytes)
    totals = StepTotals(communicator)
  }

  /// Trains on this rank's share of one global batch, given in `partCount` parts whose gradients are added up.
  ///
  /// - Parameters:
  ///   - imageCount: images of all parts on all ranks together.
  ///   - part: loads part i; `recycle` takes it back.
  /// - Throws: what a peer's or a file's fault throws; code 70 on every rank alike if loss or gradients are not
  ///   finite. The parameters are then finite still.
  public func run(
    partCount: Int, imageCount: Int, learningRate: Double, part: (Int) throws -> Batch,
    recycle: (Batch) -> Void
  ) throws -> StepReport {
    var watch = Stopwatch()
    var times = StepTimes()
    network.zeroAddedGradients()
    totals.reset()
    let heartbeat = communicator.heartbeat
    heartbeat.enter(.loading, step: context.step)
    var batch = try part(0)
    for i in 0..<partCount {
      context.begin(batch, .training, share: Double(batch.globalBatchSize) / Double(imageCount))
      context.addsToGradients = i > 0
      heartbeat.enter(.forward, step: context.step)
      let logits = try network.forward(batch.images, context)
      let result = loss.evaluate(logits, context)
      totals.add(result, imageCount: batch.count)
      times.forward += watch.lap()
      let isLast = i == partCount - 1
      if isLast { totals.start(step: context.step) }
      heartbeat.enter(.backward, step: context.step)
      try network.backward(result.gradient!, context) { if isLast { reducer.start(from: $0) } }
      totals.add(network.interpretableLayers, share: context.gradientShare)
      times.backward += watch.lap()
      if !isLast {
        recycle(batch)
        heartbeat.enter(.loading, step: context.step)
        batch = try part(i + 1)
      }
    }
    defer { recycle(batch) }
    heartbeat.enter(.reduction, step: context.step)
    try reducer.finish()
    var report = try totals.finish(context, learningRate: learningRate)
    times.communication = watch.lap()
    heartbeat.enter(.update, step: context.step)
    guard report.loss.isFinite,
      try reducer.finishUpdate(succeeded: update(learningRate, isWhole: partCount == 1))
    else {
      throw try BreakdownDiagnosis(network, loss, context).failure(batch, communicator)
    }
    times.update = watch.lap()
    heartbeat.enter(.reporting, step: context.step)
    report.times = times
    context.step += 1
    return report
  }

  /// Returns whether this rank's part of the gradients was finite. Factors hold the images of one part.
  private func update(_ learningRate: Double, isWhole: Bool) -> Bool {
    optimizer.update(
      learningRate: Float(learningRate),
      factorImages: context.keepsFactors && isWhole ? context.globalBatchSize : nil) == nil
  }
}
