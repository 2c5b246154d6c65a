import Communication
import Foundation

/// What a training would take on other numbers of ranks: predictions from measurements, each with what speaks against it.
public struct ScalePlan: Codable, Sendable {
  /// What is asked.
  public struct Question: Codable, Sendable {
    /// Images of a step on all ranks.
    public var batchSize: Int
    /// Numbers of ranks.
    public var ranks: [Int]
    /// Ranks on a node that is full.
    public var ranksPerNode: Int
    /// Gradients inside a node.
    public var reduction: ReductionPath
    /// Gradients between nodes.
    public var precision: ExchangePrecision
    /// Of a bucket of gradients.
    public var bucketMebibytes: Double
    /// Between nodes.
    public var link: LinkModel
    /// Whether the link was measured, or is what somebody said.
    public var linkIsMeasured: Bool
    /// Of one node, in seconds; nil: never fails.
    public var nodeMeanTimeBetweenFailures: Double?
    /// Of a checkpoint.
    public var checkpointSeconds = 0.0
    /// From a failure until training goes on.
    public var restartSeconds = 0.0

    /// A question; see the properties.
    public init(
      batchSize: Int, ranks: [Int], ranksPerNode: Int, _ reduction: ReductionPath,
      _ precision: ExchangePrecision, bucketMebibytes: Double, _ link: LinkModel, linkIsMeasured: Bool
    ) {
      self.batchSize = batchSize
      self.ranks = ranks
      self.ranksPerNode = ranksPerNode
      self.reduction = reduction
      self.precision = precision
      self.bucketMebibytes = bucketMebibytes
      self.link = link
      self.linkIsMeasured = linkIsMeasured
    }
  }

  /// Where a prediction stops being trustworthy.
  public enum Doubt: String, Codable, Sendable, CaseIterable {
    case computeExtrapolated = "compute-extrapolated"
    case networkExtrapolated = "network-extrapolated"
    case linkNotMeasured = "link-not-measured"
    case stragglersExtrapolated = "stragglers-extrapolated"
    case loadDiffers = "load-differs"

    /// For a table's last column.
    var letter: String {
      switch self {
      case .computeExtrapolated: "c"
      case .networkExtrapolated: "n"
      case .linkNotMeasured: "l"
      case .stragglersExtrapolated: "s"
      case .loadDiffers: "h"
      }
    }

    /// What it means.
    var words: String {
      switch self {
      case .computeExtrapolated: "no share as small or as large was measured"
      case .networkExtrapolated:
        "more than four times the ranks that were measured: congestion, switches and MPI's choice of algorithm are guesses"
      case .linkNotMeasured: "latency and bandwidth as given: what TCP and MPI make of them is less"
      case .stragglersExtrapolated:
        "more ranks than steps were measured: rare delays of one rank, which all wait for, were not seen"
      case .loadDiffers: "another number of ranks on a host than computed at the same time here"
      }
    }
  }

  /// One number of ranks. Times are of the slowest rank.
  public struct Row: Codable, Sendable {
    /// All of them.
    public var ranks: Int
    /// Hosts.
    public var nodes: Int
    /// Of the largest share.
    public var imagesPerRank: Int
    /// Of all ranks.
    public var batchSize: Int
    /// A step.
    public var stepMilliseconds: Double
    /// Of all ranks.
    public var imagesPerSecond: Double
    /// Images per second per rank, of those of one rank that has nobody to wait for: with the whole batch (strong scaling) or this share (weak).
    public var efficiency: Double
    /// The step without waiting.
    public var computeMilliseconds: Double
    /// Waiting for sums of gradients that backward did not hide.
    public var gradientWaitMilliseconds: Double
    /// Waiting for statistics of filters and batch norms.
    public var statisticsWaitMilliseconds: Double
    /// What the slowest of so many ranks is expected to take longer.
    public var stragglingMilliseconds: Double
    /// Of all that the lanes of communication carry out, hidden or not.
    public var communicationMilliseconds: Double
    /// The fastest of the sizes that were tried.
    public var bestBucketMebibytes: Double
    /// The step with it.
    public var bestBucketStepMilliseconds: Double
    /// Nil unless nodes fail.
    public var checkpoint: CheckpointInterval?
    /// Daly's interval in steps.
    public var checkpointEverySteps: Int?
    /// What speaks against the row.
    public var doubts: [Doubt]
  }

  /// What was asked.
  public var question: Question
  /// What it rests on.
  public var measurement: ScaleMeasurement
  /// The same batch on more and more ranks; numbers of ranks beyond its images are left out.
  public var strong: [Row]
  /// The same share on more and more ranks: that of the smallest number of ranks.
  public var weak: [Row]

  /// Answers a question.
  public init(_ question: Question, _ measurement: ScaleMeasurement) {
    self.question = question
    self.measurement = measurement
    let model = Model(question: question, measurement: measurement)
    strong = question.ranks.filter { $0 <= question.batchSize }.map {
      model.row(ranks: $0, batchSize: question.batchSize, alone: question.batchSize)
    }
    let share = Self.share(question.batchSize, question.ranks.min() ?? 1)
    weak = question.ranks.map { model.row(ranks: $0, batchSize: share * $0, alone: share) }
  }

  /// Images of the largest share.
  static func share(_ batchSize: Int, _ ranks: Int) -> Int { max(1, (batchSize + ranks - 1) / ranks) }

  /// Shares that are worth measuring: the largest, the smallest and one between them.
  public static func shares(batchSize: Int, ranks: [Int]) -> [Int] {
    let all = Set(ranks.map { share(batchSize, $0) }).sorted()
    guard let smallest = all.first, let largest = all.last else { return [] }
    let middle = Int((Double(smallest) * Double(largest)).squareRoot().rounded())
    return Set([smallest, middle, largest == 1 ? 2 : largest]).sorted()
  }

  /// Of buckets, in MiB, that are tried.
  static let bucketSizes = [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 4096]

  private struct Model {
    let question: Question
    let measurement: ScaleMeasurement
    private var network: NetworkCost {
      NetworkCost(question.link, question.linkIsMeasured ? measurement.link : nil)
    }

    func row(ranks: Int, batchSize: Int, alone: Int) -> Row {
      let share = ScalePlan.share(batchSize, ranks)
      let layout = RankLayout(
        ranks: ranks, ranksPerNode: question.ranksPerNode, question.reduction, question.precision)
      let script = StepScript.estimate(images: share, from: measurement.scripts)
      let outcome = simulate(script, layout, question.bucketMebibytes)
      let sweep = bucketSizes.map { (size: $0, step: simulate(script, layout, $0).step) }
      let fastest = sweep.map(\.step).min() ?? outcome.step
      // Of sizes that make no difference the one in use, then the largest: fewer messages.
      let isBestAlready = outcome.step <= 1.005 * fastest
      let best =
        isBestAlready
        ? (size: question.bucketMebibytes, step: outcome.step)
        : sweep.last { $0.step <= 1.005 * fastest } ?? (question.bucketMebibytes, outcome.step)
      let reference = StepScript.estimate(images: alone, from: measurement.scripts).computeSeconds
      let work = Double(batchSize) / Double(alone)
      let interval = question.nodeMeanTimeBetweenFailures.map {
        CheckpointInterval(
          nodeMeanTimeBetweenFailures: $0, nodes: layout.nodes,
          checkpointSeconds: question.checkpointSeconds, restartSeconds: question.restartSeconds)
      }
      let waits = outcome.gradientWait + outcome.statisticsWait + outcome.straggling
      return Row(
        ranks: ranks, nodes: layout.nodes, imagesPerRank: share, batchSize: batchSize,
        stepMilliseconds: 1e3 * outcome.step, imagesPerSecond: Double(batchSize) / outcome.step,
        efficiency: reference * work / (Double(ranks) * outcome.step),
        computeMilliseconds: 1e3 * (outcome.step - waits),
        gradientWaitMilliseconds: 1e3 * outcome.gradientWait,
        statisticsWaitMilliseconds: 1e3 * outcome.statisticsWait,
        stragglingMilliseconds: 1e3 * outcome.straggling,
        communicationMilliseconds: 1e3 * outcome.communication, bestBucketMebibytes: best.size,
        bestBucketStepMilliseconds: 1e3 * best.step, checkpoint: interval,
        checkpointEverySteps: interval.map { max(1, Int(($0.dalySeconds / outcome.step).rounded())) },
        doubts: doubts(ranks, share, layout))
    }

    private func simulate(_ script: StepScript, _ layout: RankLayout, _ mebibytes: Double)
      -> StepSimulator.Outcome
    {
      let network = network
      return StepSimulator(
        script: script,
        bucketOffsets: GradientReducer.bucketOffsets(
          count: script.gradientCount, bucketBytes: Int(mebibytes * 1_048_576)),
        bucketSeconds: {
          layout.bucketSeconds(
            count: $0, network, memoryBytesPerSecond: measurement.memoryBytesPerSecond)
        },
        statisticsSeconds: { layout.statisticsSeconds(bytes: $0, network) },
        overtakingSeconds: layout.overtakingSeconds(question.link),
        overlapSlowdown: layout.nodes > 1 && question.linkIsMeasured ? measurement.overlapSlowdown : 1,
        updateFactor: layout.updateFactor,
        straggling: Straggling.expectedMaximum(of: layout.ranks)
      ).run()
    }

    private func doubts(_ ranks: Int, _ share: Int, _ layout: RankLayout) -> [Doubt] {
      let images = measurement.scripts.map(\.images)
      var found: [Doubt] = []
      if share < images.min() ?? 0 || share > images.max() ?? 0 { found.append(.computeExtrapolated) }
      if ranks > 4 * measurement.ranks && layout.nodes > 1 { found.append(.networkExtrapolated) }
      if !question.linkIsMeasured && layout.nodes > 1 { found.append(.linkNotMeasured) }
      if ranks > measurement.steps { found.append(.stragglersExtrapolated) }
      if layout.ranksPerNode != measurement.ranksPerNode { found.append(.loadDiffers) }
      return found
    }
  }
}
