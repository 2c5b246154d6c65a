import ArgumentParser
import Communication
import Training

extension ReductionPath: ExpressibleByArgument {}
extension ExchangePrecision: ExpressibleByArgument {}
extension BucketSize: ExpressibleByArgument {
  /// MiB or auto.
  public init?(argument: String) { self.init(argument) }
  /// As it is given.
  public var defaultValueDescription: String { description }
}

/// How gradients are added up over ranks: flags of `icnn train` and `icnn bench`.
struct ExchangeOptions: ParsableArguments {
  @Option(
    help: """
      Gradients inside a node: window (memory that its ranks share), plain (all-reduce) or automatic: a window where \
      there can be one. (default: automatic)
      """)
  var reduction: ReductionPath?
  @Option(
    help:
      "Gradients between nodes, and without a window: float32 or bfloat16, half the bytes. (default: float32)"
  )
  var gradientExchange: ExchangePrecision?
  @Flag(
    help: """
      The same bits on 1, 2, 4, … ranks, and after a restart on another number: every batch is cut into shards, and all \
      sums over them are taken in one fixed tree.
      """)
  var reproducible = false
  @Option(
    help: "Shards of a reproducible run, a power of two, at least as many as ranks. (default: 8)")
  var shards: Int?
  @Option(
    help: """
      Gradients that are summed at a time: MiB, or auto: what the network and the steps measured when the run starts speak \
      for (some seconds; a resumed run keeps it). (default: 4)
      """)
  var bucketMebibytes: BucketSize?

  /// What is given replaces what the configuration holds.
  func set(_ configuration: inout TrainingConfiguration) {
    if let reduction { configuration.reduction = reduction }
    if let gradientExchange { configuration.gradientExchange = gradientExchange }
    if reproducible { configuration.reproducible = true }
    if let shards { configuration.shards = shards }
    if let bucketMebibytes { configuration.bucketSize = bucketMebibytes }
  }
}
