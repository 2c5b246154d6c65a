import Communication
import Networks

/// What the ranks found in one step, added up: one small all-reduce beside the guard's.
final class StepTotals {
  private let communicator: any Communicator
  private let stepGuard: StepGuard
  /// Loss sum, correct images, images.
  private let sums = UnsafeMutableBufferPointer<Double>.allocate(capacity: 3)
  private var pending: PendingReduction?
  private var filterLoss = 0.0
  private var layers: [InterpretableMask] = []
  private var filters: [FilterReport] = []

  init(_ communicator: any Communicator) {
    self.communicator = communicator
    stepGuard = StepGuard(communicator)
    sums.initialize(repeating: 0)
  }

  deinit {
    // A step that failed elsewhere leaves its reduction under way; the values must outlive it.
    try? pending.take()?.wait()
    sums.deallocate()
  }

  /// Begins a step.
  func reset() {
    sums.update(repeating: 0)
    filterLoss = 0
    // A report that is still held would be copied when its layer writes the next one.
    filters.removeAll(keepingCapacity: true)
  }

  /// Adds a part's local loss.
  func add(_ result: LossEvaluation, imageCount: Int) {
    sums[0] += result.sum
    sums[1] += Double(result.correctCount)
    sums[2] += Double(imageCount)
  }

  /// Adds a part's filter losses, which are equal on all ranks; the reports are those of the last part.
  func add(_ layers: [InterpretableMask], share: Double) {
    self.layers = layers
    for index in layers.indices { filterLoss += share * layers[index].report.weightedLoss }
  }

  /// Starts adding up over the ranks, while backward goes on.
  func start(step: Int) {
    stepGuard.start(step: step, parameterHash: 0, stopRequested: StopSignal.number != nil)
    pending = communicator.startAllReduce(sums, .sum)
  }

  /// Waits for the sums.
  func finish(_ context: StepContext, learningRate: Double) throws(CommunicationError) -> StepReport {
    let stopRequested = try stepGuard.wait()
    try pending.take()!.wait()
    for index in layers.indices { filters.append(layers[index].report) }
    let images = max(sums[2], 1)
    return StepReport(
      step: context.step + 1, epoch: context.epoch, imageCount: Int(sums[2]), taskLoss: sums[0] / images,
      filterLoss: filterLoss, accuracy: sums[1] / images, learningRate: learningRate,
      stopRequested: stopRequested, filters: filters)
  }
}
