import Communication
import Datasets
import Foundation
import Networks
import Tensors

/// Times training steps on noise: the real step, without a data set.
public final class Benchmark {
  /// Medians over the timed steps on rank 0, in milliseconds.
  public struct Report: Codable, Sendable, CustomStringConvertible {
    var network: String
    var interpretable: Bool
    var batchSize: Int
    var imageSize: Int
    var ranks: Int
    var threads: Int
    /// Of a reproducible run; each computes on one thread.
    var shards: Int?
    var isa: String
    var imagesPerSecond: Double
    /// Milliseconds of a step.
    public var stepMillisecondsMedian: Double
    var stepMillisecondsMin: Double
    var forwardMilliseconds: Double
    var backwardMilliseconds: Double
    var communicationMilliseconds: Double
    var updateMilliseconds: Double
    var peakMemoryMegabytes: Double
    /// Processor time of all threads of rank 0.
    var stepCPUMilliseconds: Double
    /// Learned values, without padding.
    var parameters: Int
    /// Where the time goes; nil unless it was asked for.
    var profile: StepProfile?
    var plannedMemory: MemorySummary?

    enum CodingKeys: String, CodingKey {
      case network
      case interpretable
      case batchSize = "batch_size"
      case imageSize = "image_size"
      case ranks
      case threads
      case shards
      case isa
      case imagesPerSecond = "images_per_second"
      case stepMillisecondsMedian = "step_ms_median"
      case stepMillisecondsMin = "step_ms_min"
      case forwardMilliseconds = "forward_ms"
      case backwardMilliseconds = "backward_ms"
      case communicationMilliseconds = "communication_ms"
      case updateMilliseconds = "update_ms"
      case peakMemoryMegabytes = "peak_memory_mb"
      case stepCPUMilliseconds = "step_cpu_ms_median"
      case parameters
      case profile
      case plannedMemory = "planned_memory"
    }

    /// A few lines for a person.
    public var description: String {
      """
      \(network), \(interpretable ? "interpretable" : "ordinary"), batch \(batchSize), \(imageSize) pixels, \
      \(placement(ranks: ranks, threads: threads, shards: shards)), \(isa)
      \(imagesPerSecond.fixed(2)) images/s; step \(stepMillisecondsMedian.fixed(1)) ms (best \(stepMillisecondsMin.fixed(1)))
      forward \(forwardMilliseconds.fixed(1)) ms, backward \(backwardMilliseconds.fixed(1)) ms, waiting for ranks \
      \(communicationMilliseconds.fixed(1)) ms, update \(updateMilliseconds.fixed(1)) ms; peak memory \(peakMemoryMegabytes.fixed(0)) MB
      \(plannedMemory.map(\.description) ?? "")\
      \(profile.map { "\n\n\($0)" } ?? "")
      """
    }
  }

  private let configuration: TrainingConfiguration
  private let communicator: any Communicator
  let step: TrainingStep
  private let batch: Batch

  /// A step of the network with `classes` classes.
  public init(
    _ configuration: TrainingConfiguration, _ architecture: Architecture, classes: Int,
    _ communicator: any Communicator
  ) throws(CommunicationError) {
    self.configuration = configuration
    self.communicator = communicator
    let size = configuration.imageSize ?? architecture.imageSize
    let gradients = communicator.gradientExchange(configuration.reduction, configuration.gradientExchange)
    let network = architecture.build(
      configuration.networkOptions(outputs: classes),
      arenas: gradients.arenas(factorImages: configuration.factorImages))
    try gradients.requireRoute()
    network.store.initialize(seed: configuration.seed)
    // Ranks of a node may share the values: nobody goes on while another still sets them.
    try communicator.barrier()
    network.recomputation = configuration.recompute
    let context = StepContext(
      exchange: communicator.size > 1 ? RankStatistics(communicator) : LocalStatistics())
    context.categoryCount = max(2, classes)
    context.labelShares = [Double](repeating: 1 / Double(classes), count: classes)
    context.batchesPerEpoch = 100
    step = TrainingStep(
      network, configuration.taskLoss(outputs: classes),
      MomentumSGD(network.store, momentum: 0.9, weightDecay: 5e-4, share: gradients.updateShare), context,
      communicator, gradients,
      bucketBytes: configuration.bucketSize.bytes)
    batch = Batch.noise(
      globalBatchSize: configuration.batchSize, rank: communicator.rank, rankCount: communicator.size,
      imageSize: size, outputs: classes, seed: configuration.seed)
    network.prepare(batchSize: batch.count, context)
  }

  /// One step on the batch.
  func runStep() throws -> StepReport {
    try step.run(
      partCount: 1, imageCount: configuration.batchSize, learningRate: 1e-4, part: { _ in batch },
      recycle: { _ in })
  }

  /// Runs the steps; the report is rank 0's.
  ///
  /// - Parameter profiled: takes the time of every layer as well, and measures first what the machine can do.
  /// - Parameter trace: what is written of the steps, those for warming up included.
  public func run(
    steps: Int, warmupSteps: Int, profiled: Bool = false, trace: TraceOptions? = nil,
    console: Console = Console(isSpeaking: false)
  ) throws -> Report {
    let limits = profiled ? MachineLimits.measure() : nil
    let timer = LayerTimer(steps: steps)
    if profiled { step.network.observer = timer }
    let stepTrace = trace.map { StepTrace($0, step.network, communicator, console) }
    var reports: [StepReport] = []
    var cpuSeconds: [Double] = []
    for index in 0..<(warmupSteps + steps) {
      try stepTrace?.stepBegins()
      timer.isRecording = index >= warmupSteps
      timer.beginStep()
      let cpuBefore = ProcessTime.cpuSeconds
      let report = try runStep()
      if index >= warmupSteps {
        reports.append(report)
        cpuSeconds.append(ProcessTime.cpuSeconds - cpuBefore)
      }
    }
    try stepTrace?.finish()
    let milliseconds = { (value: (StepReport) -> Double) in 1e3 * median(reports.map(value)) }
    let stepMilliseconds = milliseconds { $0.times.total }
    return Report(
      network: configuration.network, interpretable: configuration.interpretable,
      batchSize: configuration.batchSize, imageSize: configuration.imageSize ?? 0,
      ranks: communicator.processCount, threads: CPU.threadCount,
      shards: configuration.reproducible ? communicator.size : nil, isa: InstructionSet.current.description,
      imagesPerSecond: 1e3 * Double(configuration.batchSize) / stepMilliseconds,
      stepMillisecondsMedian: stepMilliseconds,
      stepMillisecondsMin: 1e3 * (reports.map(\.times.total).min() ?? 0),
      forwardMilliseconds: milliseconds { $0.times.forward },
      backwardMilliseconds: milliseconds { $0.times.backward },
      communicationMilliseconds: milliseconds { $0.times.communication },
      updateMilliseconds: milliseconds { $0.times.update },
      peakMemoryMegabytes: Double(ProcessMemory.peakBytes) / 1e6,
      stepCPUMilliseconds: 1e3 * median(cpuSeconds), parameters: step.network.store.parameterCount,
      profile: limits.map {
        StepProfile(
          timer.rows, handOver: timer.handOver, reports.map(\.times), limits: $0,
          updateBytes: step.network.store.updateBytes)
      }, plannedMemory: step.network.memorySummary)
  }
}
