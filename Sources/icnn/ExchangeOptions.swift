import ArgumentParser
import Communication
import Training

extension ReductionPath: ExpressibleByArgument {}
extension ExchangePrecision: ExpressibleByArgument {}

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
  @Option(help: .hidden) var bucketMebibytes: Double?

  /// What is given replaces what the configuration holds.
  func set(_ configuration: inout TrainingConfiguration) {
    if let reduction { configuration.reduction = reduction }
    if let gradientExchange { configuration.gradientExchange = gradientExchange }
    if let bucketMebibytes { configuration.bucketMebibytes = bucketMebibytes }
  }
}
