import AllocationCounter
import Communication
import Datasets
import Networks
import Tensors
import TestSupport
import Testing

@testable import Training

/// A steady step asks for no memory: counted on the training thread by functions in malloc's place. What the thread of
/// communication and the loaders do is not counted.
@Suite("Allocations", .enabled(if: allocation_counter_available() != 0)) struct AllocationTests {
  /// A network and how it is trained.
  struct Case: Sendable, CustomTestStringConvertible {
    var network = Architecture.compact
    var formulation: InterpretableOptions.Formulation?
    var gradient = InterpretableOptions.FilterGradient.singleTerm
    var isScaled = false
    var recomputation = Recomputation.none
    var ranks = 1
    var parts = 1
    var isTraced = false

    var testDescription: String {
      "\(network.name), \(formulation?.rawValue ?? "ordinary"), \(gradient.rawValue)\(isScaled ? " scaled" : ""), "
        + "recompute \(recomputation.rawValue), \(ranks) ranks, \(parts) parts"
        + (isTraced ? ", traced" : "")
    }
  }

  private static let outputs = 3
  // The smallest that every architecture takes.
  private static let imageSize = 76
  private static let imagesPerPart = 4

  @Test(
    "a steady step allocates nothing",
    arguments: [
      Case(), Case(formulation: .paper), Case(formulation: .paper, gradient: .exact),
      Case(formulation: .paper, isScaled: true), Case(formulation: .paper, gradient: .exact, isScaled: true),
      Case(formulation: .paper, isScaled: true, recomputation: .segments(3), ranks: 2, parts: 2),
      Case(formulation: .released(corrected: false)), Case(formulation: .released(corrected: true), parts: 2),
      Case(formulation: .paper, isTraced: true), Case(network: .resNet18, ranks: 2, isTraced: true),
      Case(formulation: .paper, ranks: 2), Case(formulation: .released(corrected: false), ranks: 2),
      Case(formulation: .paper, recomputation: .segments(3), ranks: 2, parts: 2),
      Case(network: .alexNet), Case(network: .alexNet, formulation: .paper, recomputation: .automatic),
      Case(network: .vggM), Case(network: .vggM, formulation: .released(corrected: false)),
      Case(network: .vgg16, recomputation: .automatic), Case(network: .resNet18, ranks: 2),
      Case(network: .resNet50, formulation: .paper, recomputation: .segments(4)),
      Case(network: .denseNet121, ranks: 2), Case(network: .denseNet121, recomputation: .segments(3)),
    ])
  func steadyStep(_ test: Case) throws {
    let findings = try withKernels(.current) {
      try InProcessGroup.run(size: test.ranks) { try Self.count(test, $0) }
    }
    for finding in findings { #expect(finding == "0 allocations") }
  }

  @Test("an evaluation between steps allocates nothing either")
  func evaluation() throws {
    let communicator = SingleProcess()
    let step = Self.step(Case(formulation: .paper), communicator)
    let batch = Self.batch(communicator)
    let finding = try Self.allocations {
      try Self.train(step, batch)
      step.context.begin(batch, .evaluation)
      _ = step.loss.evaluate(try step.network.forward(batch.images, step.context), step.context)
    }
    #expect(finding == "0 allocations")
  }

  @Test("an allocation is noticed")
  func counter() throws {
    var kept: [[Int]] = []
    let finding = try Self.allocations { kept = [[Int](repeating: kept.count, count: 1000)] }
    #expect(!finding.hasPrefix("0 ") && kept[0].count == 1000)
  }

  private static func count(_ test: Case, _ communicator: any Communicator) throws -> String {
    let step = step(test, communicator)
    let batch = batch(communicator)
    guard test.isTraced else { return try allocations { try train(step, batch, parts: test.parts) } }
    let timeline = Timeline(capacity: 1 << 14)
    communicator.heartbeat.timeline = timeline
    step.network.observer = LayerTracer(step.network, timeline)
    timeline.isRecording = true
    let finding = try allocations { try train(step, batch, parts: test.parts) }
    timeline.isRecording = false
    communicator.heartbeat.timeline = nil
    #expect(timeline.training.events.contains { $0.kind == .backward } && timeline.training.droppedCount == 0)
    return finding
  }

  /// Of two runs of `body` after three that may allocate.
  ///
  /// Counted twice, the smaller number is the finding: rarely, where other tests run beside it, three allocations were seen
  /// once. A step that allocates does so each time.
  private static func allocations(_ body: () throws -> Void) throws -> String {
    for _ in 0..<3 { try body() }
    let (one, other) = (try counted(body), try counted(body))
    return one.count < other.count ? one.finding : other.finding
  }

  private static func counted(_ body: () throws -> Void) throws -> (count: Int, finding: String) {
    allocation_counter_start()
    let result = Result {
      try body()
      try body()
    }
    let count = allocation_counter_stop()
    try result.get()
    var traces = ""
    for index in 0..<min(count, 3) {
      let text = UnsafeMutablePointer<CChar>.allocate(capacity: 8192)
      defer { text.deallocate() }
      allocation_counter_trace(index, text, 8192)
      traces += "\n" + String(cString: text)
    }
    return (Int(count), "\(count) allocations\(traces)")
  }

  private static func train(_ step: TrainingStep, _ batch: Batch, parts: Int = 1) throws {
    let report = try step.run(
      partCount: parts, imageCount: imagesPerPart * parts, learningRate: 1e-3, part: { _ in batch },
      recycle: { _ in })
    precondition(report.loss.isFinite)
  }

  private static func step(_ test: Case, _ communicator: any Communicator) -> TrainingStep {
    var options = NetworkOptions(outputs: outputs, imageSize: imageSize)
    options.widthDivisor = 16
    if let formulation = test.formulation {
      options.interpretable = InterpretableOptions()
      options.interpretable?.formulation = formulation
      options.interpretable?.filterGradient = test.gradient
      if test.isScaled {
        options.interpretable?.scoreScale = 10
        options.interpretable?.gradientShare = 0.5
      }
    }
    let network = test.network.build(options)
    network.store.initialize(seed: 1)
    network.recomputation = test.recomputation
    let context = StepContext(exchange: RankStatistics(communicator))
    context.categoryCount = outputs
    context.labelShares = [Double](repeating: 1 / Double(outputs), count: outputs)
    return TrainingStep(
      network, SoftmaxCrossEntropy(), MomentumSGD(network.store), context, communicator,
      communicator.gradientExchange(.automatic, .float32), bucketBytes: 4096)
  }

  private static func batch(_ communicator: any Communicator) -> Batch {
    Batch.noise(
      globalBatchSize: imagesPerPart, rank: communicator.rank, rankCount: communicator.size,
      imageSize: imageSize,
      outputs: outputs, seed: 1)
  }
}
